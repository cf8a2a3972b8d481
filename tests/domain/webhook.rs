//! What triggers ask for, and what is sent: arguments, options, payloads that fit, lists that are cut.

use pg_edge::domain::batch::chunks::Most;
use pg_edge::domain::batch::writer::ListWriter;
use pg_edge::domain::webhook::Webhook;
use pg_edge::domain::webhook::doubt::Gap;
use pg_edge::domain::webhook::options::{Grouping, Job, NAMES, Options, WhenChanged};
use pg_edge::domain::webhook::payload::{Change, Heading};
use pg_edge::domain::webhook::record::Record;
use pg_edge::domain::webhook::shape::{Event, Shape, Sight, Timing};
use proptest::prelude::*;
use serde_json::{Value, json};

fn refused(arguments: &[&str]) -> String {
    Webhook::parse(arguments).map(|_| ()).unwrap_err().to_string()
}

fn options(json: &str) -> Options {
    Options::parse(json).unwrap()
}

#[test]
fn a_function_goes_to_the_default_endpoint_and_a_url_to_none() {
    let table: [(&[&str], &str, Option<&str>); 8] = [
        (&["hello"], "hello", Some("default")),
        (&["hello", ""], "hello", Some("default")),
        (&["/hello/x", "crm"], "hello/x", Some("crm")),
        (&["hello", "crm", r#"{"params": {"a": [1, 2]}}"#], "hello?a=1&a=2", Some("crm")),
        (&["https://example.com/hook"], "https://example.com/hook", None),
        (&["https://example.com/hook?b=1", r#" {"params": {"a": 1}}"#], "https://example.com/hook?b=1&a=1", None),
        (&["https://example.com/hook", "", "{}"], "https://example.com/hook", None),
        (&["https://example.com/hook", "crm"], "https://example.com/hook", Some("crm")),
    ];
    for (arguments, url, endpoint) in table {
        let webhook = Webhook::parse(arguments).unwrap();
        assert_eq!((webhook.url.as_str(), webhook.endpoint.as_deref()), (url, endpoint), "{arguments:?}");
        assert_eq!(webhook.method, "POST");
        assert_eq!(webhook.headers["content-type"], "application/json");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_in_words() {
    let table: [(&[&str], &str); 28] = [
        (&[], "not 0 arguments"),
        (&["f", "", "{}", "more"], "not 4 arguments"),
        (&["a b"], "\"a b\" is not the name of a function"),
        (&["ftp://host/"], "scheme \"ftp\" is not supported"),
        (&["https://u:p@host/"], "holds a user name or password"),
        (&["f", "2nd"], "\"2nd\" is not a name for an endpoint"),
        (&["f", "", "[]"], "must be a JSON object"),
        (&["f", "", "{"], "must be a JSON object"),
        (&["f", r#"{"batsh": true}"#], "no option \"batsh\"; there are batch, max_items, when_changed"),
        (&["f", r#"{"batch": "yes"}"#], "option \"batch\" must be true or false, not \"yes\""),
        (&["f", r#"{"batch": true, "max_items": 0}"#], "a whole number from 1 to 10000, not 0"),
        (&["f", r#"{"batch": true, "max_items": -1}"#], "a whole number from 1 to 10000, not -1"),
        (&["f", r#"{"max_items": 5}"#], "option \"max_items\" needs \"batch\": true"),
        (&["f", r#"{"when_changed": []}"#], "must be true or a list of columns, not []"),
        (&["f", r#"{"columns": []}"#], "must be a list of columns, not []"),
        (&["https://x/", r#"{"headers": {"a": "${secret:k}"}}"#], "placeholders for secrets need an endpoint"),
        (&["f", r#"{"columns": "id"}"#], "must be a list of columns, not \"id\""),
        (&["f", r#"{"headers": "x"}"#], "must be a JSON object, not \"x\""),
        (&["f", r#"{"headers": {"host": "x"}}"#], "header \"host\" is set by pg_edge itself"),
        (&["f", r#"{"params": {"a": {}}}"#], "params are wrong"),
        (&["f", r#"{"timeout": 10}"#], "an interval, such as \"10 s\", not 10"),
        (&["f", r#"{"max_attempts": 1.5}"#], "must be a whole number, not 1.5"),
        (&["f", r#"{"job": "yes"}"#], "option \"job\" must be true or an object"),
        (&["f", r#"{"job": ["5 min"]}"#], "option \"job\" must be true or an object"),
        (&["f", r#"{"job": {"patience": "5 min"}}"#], "option \"job\" must be true or an object"),
        (&["f", r#"{"job": {"deadline": 5}}"#], "option \"job\" must be true or an object"),
        (&["f", r#"{"method": "get"}"#], "has no body"),
        (&["f", r#"{"batch": true, "metadata_columns": ["id"]}"#], "about one row"),
    ];
    for (arguments, words) in table {
        let said = refused(arguments);
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    let long = format!(r#"{{"batch": "{}"}}"#, "x".repeat(500));
    assert!(refused(&["f", &long]).len() < 200);
}

#[test]
fn every_option_can_be_given_and_null_is_as_good_as_none() {
    let given = options(
        r#"{"batch": true, "max_items": 7, "when_changed": ["a"], "columns": ["a", "b"], "headers": {"x": 1}, "params": {},
            "timeout": "5 s", "max_attempts": 2, "on_complete": "public.f", "metadata": {"n": 1.50}, "method": "PUT",
            "delay": "1 min", "job": {"heartbeat": "30 s"}}"#,
    );
    assert_eq!(given.job, Some(Job { deadline: None, heartbeat: Some("30 s".to_owned()) }));
    assert_eq!(options(r#"{"job": true}"#).job, Some(Job::default()));
    assert_eq!(options(r#"{"job": false}"#).job, None);
    assert_eq!(given.grouping, Grouping::Batches(7));
    assert_eq!(given.when_changed, WhenChanged::OneOf(vec!["a".to_owned()]));
    assert_eq!(given.metadata.as_deref(), Some(r#"{"n": 1.50}"#), "a number lost a digit");
    assert_eq!((given.timeout.as_deref(), given.delay.as_deref()), (Some("5 s"), Some("1 min")));
    let nothing: serde_json::Map<String, Value> = NAMES.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    assert_eq!(options(&Value::Object(nothing).to_string()), Options::default());
    assert_eq!(options(r#"{"when_changed": true}"#).when_changed, WhenChanged::Any);
    assert_eq!(options(r#"{"batch": true}"#).grouping, Grouping::Batches(100));
}

#[test]
fn a_trigger_is_refused_what_it_cannot_see() {
    use Sight::{AllRows, NewRows, OldRows, Row, Statement};
    let batch = r#"{"batch": true}"#;
    let changed = r#"{"when_changed": true}"#;
    let table = [
        (Timing::After, Row, false, "{}", None),
        (Timing::Before, Row, false, "{}", Some("must be an AFTER trigger: what a BEFORE trigger")),
        (Timing::InsteadOf, Row, false, "{}", Some("must be an AFTER trigger")),
        (Timing::After, Row, false, batch, Some("needs FOR EACH STATEMENT")),
        (Timing::After, Statement, false, batch, Some("needs FOR EACH STATEMENT")),
        (Timing::After, NewRows, false, batch, None),
        (Timing::After, OldRows, false, batch, None),
        (Timing::After, Row, true, changed, None),
        (Timing::After, Statement, true, changed, Some("\"when_changed\" needs the rows")),
        (Timing::After, NewRows, true, changed, Some("before and after")),
        (Timing::After, OldRows, true, changed, Some("before and after")),
        (Timing::After, NewRows, false, changed, None),
        (Timing::After, AllRows, true, changed, None),
        (Timing::After, Statement, false, r#"{"columns": ["a"]}"#, Some("\"columns\" needs the rows")),
        (
            Timing::After,
            Statement,
            false,
            r#"{"metadata_columns": ["a"]}"#,
            Some("\"metadata_columns\" needs the rows"),
        ),
        (Timing::After, Statement, false, "{}", None),
    ];
    for (timing, sight, updates, json, words) in table {
        let said = Shape { timing, sight, updates, writes_rows: true }
            .fits(&options(json))
            .err()
            .map(|error| error.to_string());
        let as_awaited = match (&said, words) {
            (None, None) => true,
            (Some(said), Some(words)) => said.contains(words),
            _ => false,
        };
        assert!(as_awaited, "{timing:?} {sight:?} {json}: {said:?}");
    }
}

#[test]
fn rows_that_a_trigger_is_not_given_are_a_gap() {
    use Sight::{AllRows, NewRows, OldRows, Row, Statement};
    let gap = |sight, updates, writes_rows| Gap::of(Shape { timing: Timing::After, sight, updates, writes_rows });
    assert_eq!(gap(NewRows, true, true), Some(Gap::Before));
    assert_eq!(gap(OldRows, true, true), Some(Gap::After));
    assert_eq!(gap(Statement, true, true), Some(Gap::Rows));
    assert_eq!(gap(Statement, false, true), Some(Gap::Rows));
    assert_eq!(gap(Statement, false, false), None, "a TRUNCATE has no rows");
    for sight in [Row, AllRows] {
        assert_eq!(gap(sight, true, true), None);
    }
    for sight in [NewRows, OldRows] {
        assert_eq!(gap(sight, false, true), None, "an INSERT has new rows alone, a DELETE old ones");
    }
}

fn change<'a>(record: Option<&'a str>, old_record: Option<&'a str>) -> Change<'a> {
    Change { record: record.map(Record::Whole), old_record: old_record.map(Record::Whole), omitted: Vec::new() }
}

#[test]
fn a_payload_has_the_shape_of_a_database_webhook_and_keeps_every_digit() {
    let heading = Heading::new(Event::Update, "pub\"lic", "t");
    let row = r#"{"id":1,"n":123456789012345678901234567890.00,"b":{"x": [1 ]}}"#;
    let told = change(Some(row), Some(r#"{"id":1}"#)).tell(&heading, 10_000);
    assert_eq!(
        told,
        format!(r#"{{"type":"UPDATE","table":"t","schema":"pub\"lic","record":{row},"old_record":{{"id":1}}}}"#)
    );
    let told = Change::default().tell(&Heading::new(Event::Truncate, "public", "t"), 10_000);
    assert_eq!(told, r#"{"type":"TRUNCATE","table":"t","schema":"public","record":null,"old_record":null}"#);
    let only = change(Some(row), None).only(&["n".to_owned(), "gone".to_owned()]).tell(&heading, 10_000);
    assert!(only.contains(r#""record":{"n":123456789012345678901234567890.00},"old_record":null"#), "{only}");
}

#[test]
fn columns_that_are_too_large_are_left_out_largest_first_and_named() {
    let heading = Heading::new(Event::Update, "public", "t");
    let row = |a: usize, b: usize, c: usize| {
        format!(r#"{{"id":7,"a":"{}","b":"{}","c":"{}"}}"#, "a".repeat(a), "b".repeat(b), "c".repeat(c))
    };
    let table = [
        (10, 20, 30, 1000, vec![]),
        (10, 20, 3000, 1000, vec!["c"]),
        (2000, 20, 3000, 1000, vec!["c", "a"]),
        (600, 300, 500, 1000, vec!["a"]),
        (10, 20, 30, 0, vec!["c", "b", "a", "id"]),
    ];
    for (a, b, c, limit, omitted) in table {
        let row = row(a, b, c);
        let told = change(Some(&row), None).tell(&heading, limit);
        let told: Value = serde_json::from_str(&told).unwrap();
        let said = told.get("omitted").cloned().unwrap_or_else(|| json!([]));
        assert_eq!(said, json!(omitted), "{a} {b} {c} {limit}");
        for column in ["id", "a", "b", "c"] {
            assert_eq!(told["record"].get(column).is_none(), omitted.contains(&column), "{column}");
        }
    }
    // What counts is what both records have of a column together.
    let (new, old) = (row(400, 10, 500), row(400, 10, 10));
    let told: Value = serde_json::from_str(&change(Some(&new), Some(&old)).tell(&heading, 1000)).unwrap();
    assert_eq!(told["omitted"], json!(["a"]));
    assert!(told["old_record"].get("a").is_none());
}

#[test]
fn metadata_is_what_is_fixed_and_what_the_row_says() {
    let row = r#"{"id":7,"email":"a@b","x":null}"#;
    let wanted = ["id".to_owned(), "x".to_owned()];
    assert_eq!(change(Some(row), None).metadata(None, &wanted), r#"{"id":7,"x":null}"#);
    assert_eq!(
        change(None, Some(row)).metadata(Some(r#"{"kind":"a","id":1}"#), &wanted),
        r#"{"kind":"a","id":7,"x":null}"#
    );
    assert_eq!(Change::default().metadata(None, &wanted), "{}");
}

#[test]
fn a_list_is_cut_by_items_and_by_bytes() {
    let lists = |most, bytes, items: &[&str]| {
        let mut batch = ListWriter::new(Most { items: most, bytes });
        let mut lists: Vec<String> = items.iter().filter_map(|item| batch.push(item)).collect();
        lists.extend(batch.take());
        lists
    };
    assert_eq!(lists(2, 1000, &[]), Vec::<String>::new());
    assert_eq!(lists(2, 1000, &["1", "2", "3"]), ["[1,2]", "[3]"]);
    assert_eq!(lists(9, 6, &["1", "2", "3"]), ["[1,2]", "[3]"]);
    assert_eq!(lists(9, 7, &["1", "2", "3"]), ["[1,2,3]"]);
    assert_eq!(lists(9, 3, &["1", "22222", "3"]), ["[1]", "[22222]", "[3]"]);
}

proptest! {
    // Limits that are missed by a byte are met once in some thousand.
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_payload_is_json_and_within_its_limit_unless_nothing_is_left(
        texts in proptest::collection::vec("[a-c\u{1}\"\u{e4}\\\\]{0,60}", 0..8),
        old in proptest::bool::ANY,
        limit in 0usize..600,
    ) {
        let row: serde_json::Map<String, Value> =
            texts.iter().enumerate().map(|(place, text)| (format!("c\"{place}"), json!(text))).collect();
        let row = Value::Object(row).to_string();
        let heading = Heading::new(Event::Insert, "public", "t");
        let told = change(Some(&row), old.then_some(row.as_str())).tell(&heading, limit);
        let parsed: Value = serde_json::from_str(&told).unwrap();
        let left = parsed["record"].as_object().unwrap().len();
        let named = parsed.get("omitted").map_or(0, |names| names.as_array().unwrap().len());
        prop_assert_eq!(left + named, texts.len());
        prop_assert!(told.len() <= limit || left == 0, "{} bytes of {}: {}", told.len(), limit, told);
    }

    #[test]
    fn every_item_is_in_one_list_in_order(
        items in proptest::collection::vec("[0-9]{1,9}", 0..40),
        most in 1usize..9,
        bytes in 2usize..40,
    ) {
        let mut batch = ListWriter::new(Most { items: most, bytes });
        let mut lists: Vec<String> = items.iter().filter_map(|item| batch.push(item)).collect();
        lists.extend(batch.take());
        let inner: Vec<&str> = lists.iter().map(|list| &list[1..list.len() - 1]).collect();
        prop_assert_eq!(inner.iter().flat_map(|list| list.split(',')).collect::<Vec<_>>(), items);
        for list in &lists {
            let count = list.split(',').count();
            prop_assert!(count <= most && (list.len() <= bytes || count == 1), "{}", list);
        }
    }
}
