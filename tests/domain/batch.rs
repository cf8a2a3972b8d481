//! Lists of items: how they are cut into calls, and what an answer means for each of them.

use bytes::Bytes;
use pg_edge::domain::batch::chunks::{BatchError, Most, chunks};
use pg_edge::domain::batch::{Round, Upshot, concerns_items, upshot};
use pg_edge::domain::outcome::{Failure, FailureClass, Head, Outcome, Response};
use proptest::prelude::*;
use serde_json::{Value, json};

fn items(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

fn most(items: usize, bytes: usize) -> Most {
    Most { items, bytes }
}

fn answer(status: u16, body: &str) -> Response {
    Response { head: Head { status, headers: Vec::new() }, body: Bytes::from(body.to_owned()) }
}

fn counting(status: u16, count: &str, body: &str) -> Response {
    let mut counting = answer(status, body);
    counting.head.headers.push(("X-Failed-Jobs".to_owned(), Bytes::from(count.to_owned())));
    counting
}

fn again(sent: &str, answer: &Response) -> Option<String> {
    match upshot(Some(sent.as_bytes()), answer) {
        Upshot::Again { items, body } => {
            let list: Vec<Value> = serde_json::from_slice(&body).expect("it is a list");
            assert_eq!(list.len(), items);
            Some(String::from_utf8(body.to_vec()).expect("it is text"))
        }
        Upshot::Plain => None,
        other => panic!("{other:?}"),
    }
}

fn unclear(sent: &str, answer: &Response) -> String {
    match upshot(Some(sent.as_bytes()), answer) {
        Upshot::Unclear(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn items_are_cut_by_number_and_by_size() {
    let five = items(&["1", "22", "333", "4444", "5"]);
    assert_eq!(chunks(&five, most(2, 100)), Ok(vec!["[1,22]".into(), "[333,4444]".into(), "[5]".into()]));
    assert_eq!(chunks(&five, most(100, 8)), Ok(vec!["[1,22]".into(), "[333]".into(), "[4444,5]".into()]));
    assert_eq!(chunks(&five, most(100, 100)), Ok(vec!["[1,22,333,4444,5]".into()]));
    assert_eq!(chunks(&[], most(2, 100)), Ok(Vec::new()));
}

#[test]
fn an_item_that_cannot_be_sent_is_named_by_its_place() {
    let size = BatchError::TooLarge { position: 2, size: 6, limit: 5 };
    assert_eq!(chunks(&items(&["1", "4444"]), most(9, 5)), Err(size));
    assert_eq!(chunks(&[Some("1".into()), None], most(9, 5)), Err(BatchError::Null(2)));
    assert_eq!(chunks(&items(&["333"]), most(9, 5)), Ok(vec!["[333]".into()]), "it just fits");
}

proptest! {
    #[test]
    fn no_item_is_lost_doubled_or_moved(
        numbers in proptest::collection::vec(0_u32..100_000, 0..200), at_once in 1_usize..40, bytes in 7_usize..200
    ) {
        let given: Vec<Option<String>> = numbers.iter().map(|number| Some(number.to_string())).collect();
        let bodies = chunks(&given, most(at_once, bytes)).unwrap();
        let mut seen: Vec<u32> = Vec::new();
        for body in &bodies {
            prop_assert!(body.len() <= bytes);
            let list: Vec<u32> = serde_json::from_str(body).unwrap();
            prop_assert!((1..=at_once).contains(&list.len()));
            seen.extend(list);
        }
        prop_assert_eq!(seen, numbers);
    }

    #[test]
    fn halving_ends_in_single_items_and_keeps_their_order(numbers in proptest::collection::vec(0_u32..1_000, 1..100)) {
        let mut queue = vec![serde_json::to_string(&numbers).unwrap().into_bytes()];
        let mut singles = Vec::new();
        while let Some(body) = queue.pop() {
            match upshot(Some(&body), &answer(546, "")) {
                Upshot::Halved([first, second]) => queue.extend([second.to_vec(), first.to_vec()]),
                Upshot::Plain => singles.extend(serde_json::from_slice::<Vec<u32>>(&body).unwrap()),
                other => panic!("{other:?}"),
            }
        }
        prop_assert_eq!(singles, numbers);
    }

    #[test]
    fn the_failed_items_are_found_by_what_they_hold(ids in proptest::collection::vec(0_u32..50, 1..60), picks in any::<u64>()) {
        let sent: Vec<Value> = ids.iter().map(|id| json!({"jobId": id, "table": "documents"})).collect();
        let failed: Vec<&Value> = sent.iter().enumerate().filter(|(place, _)| picks >> place & 1 == 1).map(|(_, item)| item).collect();
        let told: Vec<Value> = failed.iter().map(|item| json!({"table": "documents", "error": "no", "jobId": item["jobId"]})).collect();
        let body = again(&json!(sent).to_string(), &answer(207, &json!({"failedJobs": told}).to_string()));
        let mut sent_again: Vec<u64> = body.map_or_else(Vec::new, |body| {
            serde_json::from_str::<Vec<Value>>(&body).unwrap().iter().map(|item| item["jobId"].as_u64().unwrap()).collect()
        });
        let mut wanted: Vec<u64> = failed.iter().map(|item| item["jobId"].as_u64().unwrap()).collect();
        sent_again.sort_unstable();
        wanted.sort_unstable();
        prop_assert_eq!(sent_again, wanted);
    }
}

#[test]
fn too_much_at_once_is_halved_and_a_single_item_is_not() {
    for status in [413, 546] {
        let halves = ["[1.0,{\"b\": 2}]", "[\"c\"]"].map(|body| Bytes::from_static(body.as_bytes()));
        assert_eq!(upshot(Some(b"[1.0, {\"b\": 2} ,\"c\"]"), &answer(status, "")), Upshot::Halved(halves), "{status}");
        assert_eq!(upshot(Some(b"[1]"), &answer(status, "")), Upshot::Plain);
        assert_eq!(upshot(Some(b"[]"), &answer(status, "")), Upshot::Plain);
        assert_eq!(upshot(Some(b"no list"), &answer(status, "")), Upshot::Plain);
        assert_eq!(upshot(None, &answer(status, "")), Upshot::Plain, "it cannot be read any more");
    }
}

#[test]
fn items_named_by_their_index_are_sent_again_as_they_were() {
    let sent = r#"[{"a": 1.00}, {"a": 20000000000000000001}, "x", null]"#;
    let table = [
        (r#"{"failed": [1]}"#, Some(r#"[{"a": 20000000000000000001}]"#)),
        (r#"{"failed": [{"index": 0, "error": "no"}, 3]}"#, Some(r#"[{"a": 1.00},null]"#)),
        (r#"{"failed": [2, 0, 2]}"#, Some(r#"[{"a": 1.00},"x"]"#)),
        (r#"{"failed": []}"#, None),
        (r#"{"failed": null, "failedJobs": null}"#, None),
        (r#"{"completedJobs": []}"#, None),
        ("", None),
        ("  ", None),
        ("[1]", None),
    ];
    for (body, wanted) in table {
        assert_eq!(again(sent, &answer(207, body)).as_deref(), wanted, "{body}");
    }
}

#[test]
fn items_named_by_themselves_are_found_as_a_function_would_send_them_back() {
    let table = [
        // Members in another order, one added.
        (
            r#"[{"id": 1, "t": "a"}, {"id": 2, "t": "a"}]"#,
            r#"[{"t": "a", "error": "no", "id": 2}]"#,
            r#"[{"id": 2, "t": "a"}]"#,
        ),
        // A number as JavaScript writes it.
        (r#"[{"id": 1.0}, {"id": 2.50}]"#, r#"[{"id": 1}, {"id": 2.5}]"#, r#"[{"id": 1.0},{"id": 2.50}]"#),
        (r#"[9007199254740993]"#, "[9007199254740992]", "[9007199254740993]"),
        // The same twice: one failed.
        (r#"["x", "x"]"#, r#"["x"]"#, r#"["x"]"#),
        // The item that says more is meant before one that says less.
        (r#"[{"a": 1}, {"a": 1, "b": 2}]"#, r#"[{"a": 1, "b": 2}]"#, r#"[{"a": 1, "b": 2}]"#),
        (r#"[[1, {"x": [2]}], {}]"#, r#"[[1.0, {"x": [2]}]]"#, r#"[[1, {"x": [2]}]]"#),
    ];
    for (sent, failed, wanted) in table {
        let body = format!(r#"{{"completedJobs": [], "failedJobs": {failed}}}"#);
        assert_eq!(again(sent, &answer(207, &body)).as_deref(), Some(wanted), "{sent} {failed}");
    }
}

#[test]
fn what_else_an_answer_says_need_not_be_readable() {
    let sent = r#"[{"id": 1}, {"id": 2}]"#;
    let deep = "[".repeat(5000) + &"]".repeat(5000);
    let unreadable = [r#""\ud800""#, "1e999", deep.as_str()];
    for text in unreadable {
        for body in [
            format!(r#"{{"why": {text}, "failed": [{{"index": 1, "error": {text}}}]}}"#),
            format!(r#"{{"failedJobs": [{{"id": 2, "error": {text}}}]}}"#),
            format!("\u{feff}{{\"failed\": [1], \"why\": {text}}}"),
        ] {
            let wanted = Some(r#"[{"id": 2}]"#);
            assert_eq!(again(sent, &answer(207, &body)).as_deref(), wanted, "{:.80}", body);
        }
    }
    for body in ["not json", r#"{"failed": [0]"#, r#"{"failed": [0]} x"#] {
        assert!(unclear(sent, &answer(207, body)).contains("is not JSON"), "{body}");
    }
    assert!(unclear(sent, &answer(207, r#"{"failed": [[1]]}"#)).contains("neither the index"));
}

#[test]
fn large_numbers_find_their_own_item_or_all_that_may_be_meant() {
    let sent = "[9007199254740992,9007199254740993,{\"id\":1152921504606846976},{\"id\":1152921504606846977},1]";
    let table = [
        // Only a function that keeps the last digit says so.
        ("[9007199254740993]", "[9007199254740993]"),
        (r#"[{"id": 1152921504606846977, "error": "no"}]"#, r#"[{"id":1152921504606846977}]"#),
        // One that does not may mean either.
        ("[9007199254740992]", "[9007199254740992,9007199254740993]"),
        ("[9007199254740992, 9007199254740992]", "[9007199254740992,9007199254740993]"),
        (r#"[{"id": 1152921504606847000}]"#, r#"[{"id":1152921504606846976},{"id":1152921504606846977}]"#),
        ("[1.0]", "[1]"),
    ];
    for (failed, wanted) in table {
        let body = format!(r#"{{"failedJobs": {failed}}}"#);
        assert_eq!(again(sent, &answer(207, &body)).as_deref(), Some(wanted), "{failed}");
    }
    let thrice = r#"{"failedJobs": [9007199254740992, 9007199254740992, 9007199254740992]}"#;
    assert!(unclear(sent, &answer(207, thrice)).contains("entry 2"), "there are but two");
}

/// Items of which each has a name of its own, besides `shared` that all have.
fn motley(items: usize, shared: usize) -> Vec<String> {
    let shared: String = (0..shared).map(|name| format!(r#""common{name}":{name},"#)).collect();
    (0..items).map(|item| format!(r#"{{{shared}"own{item}":{item}}}"#)).collect()
}

#[test]
fn looking_for_items_of_many_shapes_is_given_up_when_it_takes_too_much() {
    let items = motley(10_000, 60);
    let sent = format!("[{}]", items.join(","));
    let all: String = (0..60).map(|name| format!(r#""common{name}":{name},"#)).collect();
    // What each of them holds but for the one name that tells it from the others: it fits none, and nearly fits all.
    let misses: Vec<String> = (0..10_000).map(|miss| format!(r#"{{{all}"own{miss}":"x","more":1}}"#)).collect();
    let nearly = format!(r#"{{"failedJobs": [{}]}}"#, misses.join(","));
    let why = unclear(&sent, &answer(207, &nearly));
    assert!(why.contains("entry 0") || why.contains("too different"), "{why}");
    let ghosts: String = items.iter().map(|item| item.replace('}', r#","own0":0}"#)).collect::<Vec<_>>().join(",");
    let ghosts = format!(r#"{{"failedJobs": [{ghosts}]}}"#);
    assert!(unclear(&sent, &answer(207, &ghosts)).contains("name their indexes"));
}

#[test]
fn items_of_many_shapes_are_found_where_they_come_back_as_they_were() {
    let items = motley(3_000, 5);
    let sent = format!("[{}]", items.join(","));
    let told: Vec<String> = items.iter().map(|item| item.replace('}', r#","error":"no"}"#)).collect();
    let body = format!(r#"{{"failedJobs": [{}]}}"#, told.join(","));
    assert_eq!(again(&sent, &answer(207, &body)), Some(sent));
}

#[test]
fn the_header_of_failed_jobs_makes_any_success_a_partial_one() {
    let body = r#"{"failedJobs": [{"id": 2}]}"#;
    let sent = r#"[{"id":1},{"id":2}]"#;
    assert_eq!(again(sent, &counting(200, "1", body)).as_deref(), Some(r#"[{"id":2}]"#));
    assert_eq!(again(sent, &counting(200, "0", "{}")), None);
    assert!(unclear(sent, &counting(200, "1", "{}")).contains("x-failed-jobs"));
    assert!(concerns_items(&Outcome::Response(counting(200, "1", body))));
    assert!(!concerns_items(&Outcome::Response(counting(200, "0", body))), "nothing has to be read for it");
    assert!(!concerns_items(&Outcome::Response(counting(500, "1", body))));
}

#[test]
fn what_is_not_clear_is_said_and_not_guessed() {
    let sent = r#"[{"id":1},{"id":2}]"#;
    for (body, says) in [
        (r#"{"failed": [2]}"#, "item 2 has failed, and 2 were sent"),
        (r#"{"failed": [-1]}"#, "neither the index"),
        (r#"{"failed": ["1"]}"#, "neither the index"),
        (r#"{"failed": 1}"#, "\"failed\" in the answer is no list"),
        (r#"{"failedJobs": {"id": 1}}"#, "\"failedJobs\" in the answer is no list"),
        (r#"{"failedJobs": [{"id": 1}, {"id": 3}]}"#, "entry 1"),
        (r#"{"failedJobs": [{"id": 1}, {"id": 1}]}"#, "entry 1"),
    ] {
        let why = unclear(sent, &answer(207, body));
        assert!(why.contains(says), "{body}: {why}");
    }
    let lost = upshot(None, &answer(207, r#"{"failed": [0]}"#));
    assert!(matches!(lost, Upshot::Unclear(_)), "{lost:?}");
}

#[test]
fn only_answers_about_items_have_them_read() {
    for (status, concerns) in
        [(200, false), (202, false), (207, true), (413, true), (546, true), (500, false), (503, false)]
    {
        assert_eq!(concerns_items(&Outcome::Response(answer(status, "{}"))), concerns, "{status}");
    }
    assert!(!concerns_items(&Outcome::Failure(Failure::new(FailureClass::Timeout, "late"))));
}

#[test]
fn there_are_so_many_rounds_and_no_more() {
    let second = Round(0).next(3).expect("there may be three");
    assert_eq!((second, second.count()), (Round(1), 2));
    assert_eq!(second.next(3), Some(Round(2)));
    assert_eq!(Round(2).next(3), None);
    assert_eq!(Round(0).next(1), None);
    assert_eq!(Round(i16::MAX).next(u32::MAX).map(Round::count), Some(32_768), "it does not overflow");
}
