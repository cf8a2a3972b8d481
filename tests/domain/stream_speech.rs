//! The text of a stream, and the paths at which it may be.

use pg_edge::domain::stream::follower::Follower;
use pg_edge::domain::stream::path::Path;
use pg_edge::domain::stream::rules::Format;
use pg_edge::domain::stream::speech::Speech;
use serde_json::json;

/// The text of a stream whose dialect is to be found out.
fn spoken(events: &[&str]) -> String {
    text(Speech::Spoken(Follower::default()), events)
}

fn text(mut speech: Speech, events: &[&str]) -> String {
    events.iter().filter_map(|data| speech.read(data)).collect()
}

#[test]
fn the_text_of_a_dialect_is_where_that_dialect_has_it() {
    let anthropic = [
        r#"{"type":"message_start","message":{}}"#,
        r#"{"type":"content_block_delta","delta":{"text":"Hel"}}"#,
        r#"{"type":"content_block_delta","delta":{"text":"lo"}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    assert_eq!(spoken(&anthropic), "Hello");
    let openai =
        [r#"{"choices":[{"delta":{"content":"Hel"}}]}"#, r#"{"choices":[{"delta":{"content":"lo"}}]}"#, "[DONE]"];
    assert_eq!(spoken(&openai), "Hello");
}

#[test]
fn without_a_dialect_plain_words_are_the_text_and_objects_are_not() {
    assert_eq!(spoken(&["Hel", "lo ", "42", " \"you\""]), "Hello 42 \"you\"");
    assert_eq!(spoken(&[r#"{"token":"Hel"}"#, "[1,2]"]), "");
}

#[test]
fn once_a_dialect_is_known_broken_events_add_nothing() {
    let broken =
        [r#"{"choices":[{"delta":{"content":"Hel"}}]}"#, "{broken", r#"{"choices":[{"delta":{"content":"lo"}}]}"#];
    assert_eq!(spoken(&broken), "Hello");
}

#[test]
fn the_pieces_of_a_raw_stream_are_its_text_whatever_they_look_like() {
    assert_eq!(text(Speech::Pieces, &["{\"a\"", ":1}", "[DONE]"]), "{\"a\":1}[DONE]");
}

#[test]
fn the_text_is_where_the_reader_says_and_else_what_the_format_has_it_to_be() {
    let (event, path) = (r#"{"a":"x"}"#, || Some(Path::parse("a").unwrap()));
    for (format, path, said) in [
        (Some(Format::Raw), None, event),
        (Some(Format::Raw), path(), "x"),
        (Some(Format::Sse), path(), "x"),
        (Some(Format::Sse), None, ""),
        (None, None, ""),
    ] {
        assert_eq!(text(Speech::of(format, path), &[event]), said, "{format:?}");
    }
}

#[test]
fn half_a_character_is_shown_as_a_replacement_and_a_nul_as_well() {
    let delta = |text: &str| format!(r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}]}}"#);
    let table = [
        (r"\ud83d", "\u{fffd}"),
        (r"\ude00", "\u{fffd}"),
        (r"a\ud83d\ude00b", "a\u{1f600}b"),
        (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
        (r"\\ud83d", r"\ud83d"),
        (r"\ud83d\n\u00e9é", "\u{fffd}\n\u{e9}\u{e9}"),
        (r"\u0000", "\u{fffd}"),
    ];
    for (sent, shown) in table {
        assert_eq!(spoken(&[&delta(sent)]), shown, "{sent}");
    }
}

#[test]
fn a_path_is_spelled_as_postgres_spells_them() {
    let event = json!({"choices": [{"delta": {"content": "x"}}], "odd name": 1, "null": null, "list": [1, 2]});
    let table = [
        ("choices,0,delta,content", Some("x")),
        ("{choices, 0, delta, content}", Some("x")),
        ("choices,-1,delta,content", Some("x")),
        ("$.choices[0].delta.content", Some("x")),
        ("$[\"choices\"][-1].\"delta\".content", Some("x")),
        ("odd name", Some("1")),
        ("$.\"odd name\"", Some("1")),
        ("list", Some("[1,2]")),
        ("list,1", Some("2")),
        ("list,2", None),
        ("list,-3", None),
        ("list,x", None),
        ("null", None),
        ("choices,0,delta,content,more", None),
        ("nothing", None),
    ];
    for (path, found) in table {
        let mut speech = Speech::At(Path::parse(path).unwrap());
        assert_eq!(speech.read(&event.to_string()).as_deref(), found, "{path}");
    }
}

#[test]
fn what_is_no_path_to_one_value_is_refused() {
    for path in [
        "",
        " ",
        "{a",
        "a,,b",
        "a,\"b\"",
        "$",
        "$a",
        "$.",
        "$.a[*]",
        "$.a[0",
        "$..a",
        "$.a b",
        "$.a ? (@ > 1)",
        "$[\"a]",
    ] {
        let refused = Path::parse(path).expect_err(path);
        assert!(refused.to_string().contains("$.choices[0].delta.content"), "{path}: {refused}");
    }
}

#[test]
fn events_that_are_no_json_have_nothing_at_a_path() {
    assert_eq!(text(Speech::At(Path::parse("a").unwrap()), &["words", r#"{"a":"x"}"#, "{broken", r#"{"a":""}"#]), "x");
}
