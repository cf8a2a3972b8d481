//! Which answers are streams, and how those are cut into events.

use std::time::{SystemTime, UNIX_EPOCH};

use encoding_rs::{UTF_8, UTF_16LE, WINDOWS_1252};
use pg_edge::domain::stream::cutter::Cutter;
use pg_edge::domain::stream::ending::Rest;
use pg_edge::domain::stream::raw::Text;
use pg_edge::domain::stream::rules::{Format, Framing};
use pg_edge::domain::stream::{StreamEvent, TooLarge};
use proptest::prelude::*;

#[test]
fn the_call_says_how_its_answer_is_read_but_no_document_is_read_as_events() {
    let (sse, lines, raw) = (Some(Framing::Sse), Some(Framing::JsonLines), |encoding| Some(Framing::Raw(encoding)));
    for (format, content_type, wanted) in [
        (Format::Auto, Some("text/event-stream"), sse),
        (Format::Auto, Some("Text/Event-Stream; charset=utf-8"), sse),
        (Format::Auto, Some(" text/event-stream ;x"), sse),
        (Format::Auto, Some("application/x-ndjson"), lines),
        (Format::Auto, Some("application/NDJSON"), lines),
        (Format::Auto, Some("application/jsonl; charset=utf-8"), lines),
        (Format::Auto, Some("application/stream+json"), lines),
        (Format::Auto, Some("application/json"), None),
        (Format::Auto, Some("text/event-streams"), None),
        (Format::Auto, Some("text/plain"), None),
        (Format::Auto, Some(""), None),
        (Format::Auto, None, None),
        (Format::Sse, Some("text/plain"), sse),
        (Format::Sse, None, sse),
        (Format::Sse, Some(""), sse),
        (Format::Sse, Some("application/octet-stream"), sse),
        (Format::Sse, Some("TEXT/Event-Stream;charset=utf-8"), sse),
        (Format::Sse, Some("application/json"), None),
        (Format::Sse, Some("application/problem+json; charset=utf-8"), None),
        (Format::Sse, Some("text/html"), None),
        (Format::JsonLines, Some("application/json"), lines),
        (Format::JsonLines, Some("text/event-stream"), lines),
        (Format::Raw, Some("text/event-stream"), raw(UTF_8)),
        (Format::Raw, Some("text/plain; charset=latin1"), raw(WINDOWS_1252)),
        (Format::Raw, Some("text/plain; charset=\"UTF-16LE\""), raw(UTF_16LE)),
        (Format::Raw, Some("text/plain; charset=klingon"), raw(UTF_8)),
        (Format::Raw, None, raw(UTF_8)),
    ] {
        assert_eq!(format.framing(200, content_type), wanted, "{format:?} of {content_type:?}");
    }
}

#[test]
fn a_format_is_known_by_its_name_in_sql() {
    for name in ["sse", "ndjson", "raw", "auto"] {
        assert_eq!(Format::parse(name).map(Format::name), Ok(name));
    }
    let refused = Format::parse("SSE").expect_err("names are lower case").to_string();
    assert_eq!(refused, "there is no stream format \"SSE\"; there are sse, ndjson, raw and auto");
}

#[test]
fn only_a_success_is_a_stream() {
    for format in [Format::Sse, Format::JsonLines, Format::Raw, Format::Auto] {
        for status in 100..600 {
            let framing = format.framing(status, Some("text/event-stream"));
            assert_eq!(framing.is_some(), (200..300).contains(&status), "{format:?} of {status}");
        }
    }
}

#[test]
fn every_format_gives_events_of_one_kind() {
    let stream = b"id: 7\nevent: a\ndata: {\"b\":\0}\n\n";
    let sse = event(Some("a"), "{\"b\":\u{fffd}}", Some("7"));
    let lines = ["id: 7", "event: a", "data: {\"b\":\u{fffd}}"].map(|line| event(None, line, None));
    let text = event(None, "id: 7\nevent: a\ndata: {\"b\":\u{fffd}}\n\n", None);
    for (framing, wanted) in
        [(Framing::Sse, vec![sse]), (Framing::JsonLines, lines.to_vec()), (Framing::Raw(UTF_8), vec![text])]
    {
        let mut events = Vec::new();
        let mut cutter = Cutter::new(framing, 100);
        cutter.feed(stream, UNIX_EPOCH, &mut events).expect("small events");
        cutter.finish(UNIX_EPOCH, &mut events);
        assert_eq!(events, wanted, "{framing:?}");
    }
}

#[test]
fn what_is_unfinished_at_the_end_is_an_event_where_the_format_has_it_so_and_told_where_it_is_cut() {
    let unfinished = |data: &str| Rest::Unfinished(data.to_owned());
    for (framing, stream, events, rest) in [
        (Framing::Sse, "data: a", &[][..], unfinished("a")),
        (Framing::Sse, "data: a\n", &[], unfinished("a")),
        (Framing::Sse, "data: a\ndata: b", &[], unfinished("a\nb")),
        (Framing::Sse, "data: a\n\ndata: [DONE]\n", &["a"], unfinished("[DONE]")),
        (Framing::Sse, "data: a\n\nevent: b", &["a"], unfinished("")),
        (Framing::Sse, "data: a\n\nda", &["a"], unfinished("")),
        (Framing::Sse, "data: a\n\nwords\n", &["a"], Rest::Nothing),
        (Framing::Sse, "data: a\n\nid: 7\n: a comment", &["a"], Rest::Nothing),
        (Framing::Sse, "data: a\n\n", &["a"], Rest::Nothing),
        (Framing::Sse, "\u{feff}: hello\nretry: 3000\n\n", &[], Rest::Nothing),
        (Framing::Sse, "\u{feff}", &[], Rest::Nothing),
        (Framing::Sse, "", &[], Rest::Nothing),
        (Framing::Sse, "ok", &[], Rest::Foreign),
        (Framing::Sse, "{\"a\": 1}\n", &[], Rest::Foreign),
        (Framing::Sse, "words\ndata: a\n\n", &["a"], Rest::Nothing),
        (Framing::JsonLines, "data: a", &["data: a"], Rest::Nothing),
        (Framing::JsonLines, "1\n{\"a\":", &["1", "{\"a\":"], unfinished("")),
        (Framing::JsonLines, "1\n{\"a\":\n", &["1", "{\"a\":"], Rest::Nothing),
        (Framing::JsonLines, "1\n{\"a\":1}", &["1", "{\"a\":1}"], Rest::Nothing),
        (Framing::JsonLines, "1\n ", &["1"], Rest::Nothing),
        (Framing::Raw(UTF_8), "data: a", &["data: a"], Rest::Nothing),
    ] {
        let (mut cutter, mut found) = (Cutter::new(framing, 100), Vec::new());
        cutter.feed(stream.as_bytes(), UNIX_EPOCH, &mut found).expect("small events");
        assert_eq!(cutter.finish(UNIX_EPOCH, &mut found), rest, "{framing:?} of {stream:?}");
        let found: Vec<_> = found.iter().map(|event| event.data.as_str()).collect();
        assert_eq!(found, events, "{framing:?} of {stream:?}");
    }
}

#[test]
fn events_before_one_that_is_too_large_are_not_lost() {
    for (framing, stream) in [
        (Framing::Sse, "data: a\n\ndata: b\n\n".to_owned() + &"data: ".repeat(40)),
        (Framing::JsonLines, "1\n2\n".to_owned() + &"3".repeat(200)),
    ] {
        let (mut cutter, mut events) = (Cutter::new(framing, 100), Vec::new());
        assert_eq!(cutter.feed(stream.as_bytes(), UNIX_EPOCH, &mut events), Err(TooLarge::Event { most: 100 }));
        assert_eq!(events.len(), 2, "{framing:?}");
    }
}

#[test]
fn text_is_decoded_by_its_charset_and_a_byte_order_mark_is_none_of_it() {
    for (encoding, bytes, wanted) in [
        (WINDOWS_1252, &b"caf\xe9 \x80"[..], "café €"),
        (UTF_16LE, b"\x16\x4e\x4c\x75", "世界"),
        (UTF_16LE, b"\xff\xfe\x3d\xd8\x00\xde", "😀"),
        (UTF_8, b"\xef\xbb\xbfa\xff", "a\u{fffd}"),
        (UTF_8, b"a\xe4\xb8", "a\u{fffd}"),
    ] {
        for chunk in 1..=bytes.len() {
            let (mut text, mut pieces) = (Text::new(encoding, 100), Vec::new());
            bytes.chunks(chunk).for_each(|part| text.feed(part, &mut pieces));
            text.finish(&mut pieces);
            assert_eq!(pieces.concat(), wanted, "{} by {chunk}", encoding.name());
        }
    }
}

proptest! {
    #[test]
    fn text_in_pieces_is_the_whole_text_and_no_piece_is_larger_than_allowed(
        text in "[aé世😀]{0,60}",
        chunk in 1_usize..20,
        most in 1_usize..20,
    ) {
        let (mut reader, mut pieces) = (Text::new(UTF_8, most), Vec::new());
        text.as_bytes().chunks(chunk).for_each(|part| reader.feed(part, &mut pieces));
        reader.finish(&mut pieces);
        prop_assert_eq!(pieces.concat(), text);
        for piece in pieces {
            prop_assert!(!piece.is_empty());
            prop_assert!(piece.len() <= most || piece.chars().count() == 1, "{}", piece);
        }
    }
}

fn event(kind: Option<&str>, data: &str, id: Option<&str>) -> StreamEvent {
    let received_at: SystemTime = UNIX_EPOCH;
    StreamEvent {
        kind: kind.map(|kind| kind.to_owned().into()),
        data: data.to_owned(),
        id: id.map(Into::into),
        received_at,
    }
}
