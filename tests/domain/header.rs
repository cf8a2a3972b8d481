//! Headers: what is refused, and that what is stored reads back the same.

use bytes::Bytes;
use pg_edge::domain::header::{HeaderError, block, from_block, own, parse, to_block, value};
use pg_edge::domain::outcome::Head;
use pg_edge::domain::pairs;
use proptest::prelude::*;

#[test]
fn an_array_repeats_its_name_and_numbers_keep_their_digits() {
    let json = r#"{"b": [1, "two", true, 1.10], "a": 123456789012345678901234567890, "none": []}"#;
    let found = pairs::parse(json).unwrap();
    let found: Vec<_> = found.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(found, ["a=123456789012345678901234567890", "b=1", "b=two", "b=true", "b=1.10"]);
}

#[test]
fn what_is_not_a_flat_object_is_named() {
    for (json, kind) in
        [("[1]", "an array"), ("\"x\"", "a string"), ("1", "a number"), ("true", "a boolean"), ("null", "null")]
    {
        assert!(pairs::parse(json).unwrap_err().to_string().ends_with(&format!("not {kind}")), "{json}");
    }
    for json in [r#"{"a": null}"#, r#"{"a": {}}"#, r#"{"a": [[1]]}"#, r#"{"a": [null]}"#] {
        assert!(matches!(pairs::parse(json), Err(pairs::PairsError::NotAScalar { .. })), "{json}");
    }
}

#[test]
fn headers_that_could_break_the_message_are_refused() {
    for name in ["", " ", "a b", "a:", "a\\nb", "ä", "(x)", "a\\u0000"] {
        let found = parse(&format!("{{\"{name}\": \"v\"}}"));
        assert!(matches!(found, Err(HeaderError::Name(_))), "{name}: {found:?}");
    }
    for value in ["a\\nb", "a\\rb", "a\\r\\nb: c", "a\\u0000", "\\u007f", "\\u001b[2J"] {
        let found = parse(&format!("{{\"x\": \"{value}\"}}"));
        assert!(matches!(found, Err(HeaderError::Value(_))), "{value}: {found:?}");
    }
    for name in ["Content-Length", "transfer-encoding", "CONNECTION", "Upgrade", "TE", "keep-alive", "Proxy-Connection"]
    {
        assert!(matches!(parse(&format!("{{\"{name}\": \"1\"}}")), Err(HeaderError::Reserved(_))), "{name}");
    }
}

proptest! {
    #[test]
    fn what_was_checked_reads_back_the_same(
        given in prop::collection::vec(("[a-z][a-zA-Z0-9-]{0,8}", "[ -~\u{80}-\u{2fff}]{0,20}"), 0..6)
    ) {
        let object: serde_json::Map<String, serde_json::Value> =
            given.into_iter().map(|(name, value)| (name, value.into())).collect();
        let Ok(headers) = parse(&serde_json::Value::Object(object).to_string()) else { return Ok(()) };
        let read = to_block(&headers).map_or_else(http::HeaderMap::new, |block| from_block(&block).unwrap());
        prop_assert_eq!(read, headers);
    }

    #[test]
    fn no_text_makes_a_block_of_more_lines_than_headers(value in ".{0,40}") {
        let json = serde_json::json!({"x": value}).to_string();
        if let Ok(headers) = parse(&json) {
            prop_assert_eq!(to_block(&headers).unwrap().matches('\n').count(), 1);
        }
    }
}

#[test]
fn headers_may_have_64_kb_in_all() {
    let with = |value: usize| format!(r#"{{"a": "{}", "b": ["1", "2"]}}"#, "v".repeat(value));
    let rest = "a: \r\nb: 1\r\nb: 2\r\n".len();
    assert!(parse(&with(65_536 - rest)).is_ok());
    assert_eq!(parse(&with(65_537 - rest)), Err(HeaderError::TooLarge));
    assert_eq!(value("Content-Type", &"t".repeat(65_537)), Err(HeaderError::TooLarge));
    // More of them than a map of headers can hold.
    let many: Vec<String> = (0..40_000).map(|n| format!(r#""h{n}": "v""#)).collect();
    assert_eq!(parse(&format!("{{{}}}", many.join(", "))), Err(HeaderError::TooLarge));
}

#[test]
fn nobody_gives_a_header_that_is_our_own() {
    for name in own::OF_REQUESTS {
        for name in [name.to_owned(), name.to_ascii_uppercase()] {
            assert_eq!(parse(&format!("{{\"{name}\": \"1\"}}")), Err(HeaderError::Reserved(name)));
        }
    }
    // That one is for answers, and means nothing in a request.
    assert!(parse(&format!("{{\"{}\": \"1\"}}", own::ACCEPTED)).is_ok());
}

#[test]
fn the_headers_of_an_answer_are_a_line_each_whatever_they_hold() {
    for (value, kept) in [
        (&b"text/html"[..], "text/html"),
        (b"", ""),
        (b"a: b", "a: b"),
        (b"a\nset-cookie: stolen", "a set-cookie: stolen"),
        (b"a\r\n\0b", "a   b"),
        ("Z\u{fc}rich".as_bytes(), "Z\u{fc}rich"),
        (b"Z\xfcrich\n", "Z\u{fffd}rich "),
    ] {
        let headers = vec![("x".to_owned(), Bytes::copy_from_slice(value)), ("y".to_owned(), Bytes::from_static(b"1"))];
        let kept_as = block::of_answer(&Head { status: 200, headers });
        assert_eq!(block::pairs(&kept_as).collect::<Vec<_>>(), [("x", kept), ("y", "1")], "{value:?}");
    }
}
