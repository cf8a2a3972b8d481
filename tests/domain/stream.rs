//! Event streams and lines of JSON: what the standard says, in chunks of any size.

use std::num::NonZeroUsize;
use std::sync::Arc;

use pg_edge::domain::stream::TooLarge;
use pg_edge::domain::stream::json_lines::Lines;
use pg_edge::domain::stream::sse::{Event, Parser};
use proptest::prelude::*;
use sse_core::{SseDecoder, SseEvent};

const MOST: usize = 1 << 20;

/// An event as a table shows it: type, data, last id.
type Shown = (&'static str, &'static str, Option<&'static str>);

const NO_ID: Option<&str> = None;

/// What comes in, and the events that it holds.
const VECTORS: &[(&[u8], &[Shown])] = &[
    // Lines and blocks.
    (b"data: a\n\n", &[("message", "a", NO_ID)]),
    (b"data: a\r\n\r\n", &[("message", "a", NO_ID)]),
    (b"data: a\r\r", &[("message", "a", NO_ID)]),
    (b"data: a\r\n\n", &[("message", "a", NO_ID)]),
    (b"data: a\n\r\n", &[("message", "a", NO_ID)]),
    (b"data: a\ndata: b\n\n", &[("message", "a\nb", NO_ID)]),
    (b"data: a\rdata: b\r\ndata: c\n\n", &[("message", "a\nb\nc", NO_ID)]),
    (b"\n\n\ndata: a\n\n\n\n", &[("message", "a", NO_ID)]),
    (b"data: a\n\ndata: b\n\n", &[("message", "a", NO_ID), ("message", "b", NO_ID)]),
    // What is not complete when the stream ends is no event.
    (b"data: a\n\ndata: b\n", &[("message", "a", NO_ID)]),
    (b"data: a", &[]),
    (b"", &[]),
    // Fields and their values.
    (b"data\n\n", &[("message", "", NO_ID)]),
    (b"data:\n\n", &[("message", "", NO_ID)]),
    (b"data\ndata\n\n", &[("message", "\n", NO_ID)]),
    (b"data:a\n\n", &[("message", "a", NO_ID)]),
    (b"data:  a \n\n", &[("message", " a ", NO_ID)]),
    (b"data:\ta\n\n", &[("message", "\ta", NO_ID)]),
    (b"data: a:b: c\n\n", &[("message", "a:b: c", NO_ID)]),
    (b" data: a\n\n", &[]),
    (b"Data: a\n\n", &[]),
    (b"datas: a\n\n", &[]),
    (b"data : a\n\n", &[]),
    (b"unknown: a\ndata: b\n\n", &[("message", "b", NO_ID)]),
    // Types.
    (b"event: ping\ndata: a\n\n", &[("ping", "a", NO_ID)]),
    (b"event: a\nevent: b\ndata: c\n\n", &[("b", "c", NO_ID)]),
    (b"event: a\nevent\ndata: c\n\n", &[("message", "c", NO_ID)]),
    (b"event: lost\n\ndata: a\n\n", &[("message", "a", NO_ID)]),
    // Comments.
    (b": hello\n\n", &[]),
    (b":\ndata: a\n:between\ndata: b\n\n", &[("message", "a\nb", NO_ID)]),
    (b"data: a\n: x\n\n", &[("message", "a", NO_ID)]),
    // Ids stay until another is named, and count without data too.
    (b"id: 1\ndata: a\n\ndata: b\n\n", &[("message", "a", Some("1")), ("message", "b", Some("1"))]),
    (b"id: 1\n\ndata: b\n\n", &[("message", "b", Some("1"))]),
    (b"id: 1\ndata: a\n\nid\ndata: b\n\n", &[("message", "a", Some("1")), ("message", "b", NO_ID)]),
    (b"id: 1\nid: 2\ndata: a\n\n", &[("message", "a", Some("2"))]),
    (b"id: 1\0\ndata: a\n\n", &[("message", "a", NO_ID)]),
    // A byte order mark is dropped once, at the very beginning.
    (b"\xef\xbb\xbfdata: a\n\n", &[("message", "a", NO_ID)]),
    (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", &[]),
    (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", &[("message", "a", NO_ID)]),
    (b"\xef\xbb\xbf: comment\ndata: a\n\n", &[("message", "a", NO_ID)]),
    (b"\xef\xbb\xbf:\n\xef\xbb\xbfdata: b\ndata: a\n\n", &[("message", "a", NO_ID)]),
    // Characters: what is no UTF-8 is replaced, and what looks like a line end elsewhere is none.
    (b"data: \xff\xfe\n\n", &[("message", "\u{fffd}\u{fffd}", NO_ID)]),
    (b"data: \xe2\x82\n\n", &[("message", "\u{fffd}", NO_ID)]),
    ("data: a\u{2028}b\u{85}c\u{b}d\u{c}e\n\n".as_bytes(), &[("message", "a\u{2028}b\u{85}c\u{b}d\u{c}e", NO_ID)]),
    ("data: 世界\n\n".as_bytes(), &[("message", "世界", NO_ID)]),
    (b"data: a\0b\n\n", &[("message", "a\0b", NO_ID)]),
];

fn parse(stream: &[u8], chunk: usize) -> Result<Vec<Event>, TooLarge> {
    let (mut parser, mut events) = (Parser::new(MOST), Vec::new());
    for part in stream.chunks(chunk.max(1)) {
        parser.feed(part, &mut events)?;
    }
    Ok(events)
}

#[test]
fn events_are_those_of_the_standard_however_they_are_cut() {
    for (stream, wanted) in VECTORS {
        let wanted: Vec<_> = wanted
            .iter()
            .map(|(kind, data, id)| Event { kind: (*kind).into(), data: (*data).to_owned(), id: id.map(Into::into) })
            .collect();
        for chunk in [usize::MAX, 1, 2, 3, 7] {
            let found = parse(stream, chunk);
            assert_eq!(found.as_ref(), Ok(&wanted), "{:?} by {chunk}", String::from_utf8_lossy(stream));
        }
    }
}

#[test]
fn a_carriage_return_ends_a_line_before_another_byte_has_come() {
    let (mut parser, mut events) = (Parser::new(MOST), Vec::new());
    parser.feed(b"data: a\r\r", &mut events).expect("a small event");
    assert_eq!(events.len(), 1);
    parser.feed(b"\ndata: b\n\n", &mut events).expect("a small event");
    assert_eq!(events.len(), 2);
}

#[test]
fn what_is_too_large_is_refused_wherever_it_grows() {
    let fits = [b"data: ".to_vec(), vec![b'a'; 100], b"\n\n".to_vec()].concat();
    let long_line = [b"data: ".to_vec(), vec![b'a'; 1000]].concat();
    let many_lines = b"data: 0123456789\n".repeat(20);
    let no_field = vec![b'x'; 1000];
    for (stream, wanted) in [
        (&fits, Ok(())),
        (&long_line, Err(TooLarge::Event { most: 100 })),
        (&many_lines, Err(TooLarge::Event { most: 100 })),
        (&no_field, Err(TooLarge::Event { most: 100 })),
    ] {
        for chunk in [stream.len(), 1, 13] {
            let mut parser = Parser::new(100);
            let read = stream.chunks(chunk).try_for_each(|part| parser.feed(part, &mut Vec::new()));
            assert_eq!(read, wanted, "{:?}… by {chunk}", String::from_utf8_lossy(&stream[..20]));
        }
    }
}

#[test]
fn a_type_and_an_id_are_names_and_no_longer_than_names_are() {
    for (field, length, wanted) in [
        ("id", 4_096, Ok(())),
        ("id", 4_097, Err(TooLarge::Name { most: 4_096 })),
        ("event", 4_096, Ok(())),
        ("event", 4_097, Err(TooLarge::Name { most: 4_096 })),
        ("unknown", 10_000, Ok(())),
    ] {
        let stream = format!("{field}: {}\ndata: a\n\n", "x".repeat(length));
        assert_eq!(parse(stream.as_bytes(), usize::MAX).map(|_| ()), wanted, "{field} of {length}");
    }
}

#[test]
fn an_id_is_held_once_however_many_events_have_it() {
    let events = parse(format!("id: {}\n\n{}", "x".repeat(4_000), "data\n\n".repeat(3)).as_bytes(), 100).unwrap();
    let first = events[0].id.as_ref().unwrap();
    assert_eq!((events.len(), first.len()), (3, 4_000));
    assert!(events.iter().all(|event| Arc::ptr_eq(event.id.as_ref().unwrap(), first)));
}

/// Streams that are made of what matters to a parser.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(&b"data: "[..]),
        2 => Just(&b"\n"[..]),
        2 => Just(&b"\r"[..]),
        2 => Just(&b"\r\n"[..]),
        2 => Just(&b"\n\n"[..]),
        1 => Just(&b"data"[..]),
        1 => Just(&b"event: e"[..]),
        1 => Just(&b"id: 7"[..]),
        1 => Just(&b"id"[..]),
        1 => Just(&b"retry: 10"[..]),
        1 => Just(&b":"[..]),
        1 => Just(&b" "[..]),
        1 => Just(&b"\xef\xbb\xbf"[..]),
        1 => Just(&b"\xff"[..]),
        1 => Just("é世".as_bytes()),
        1 => Just(&b"\xe4\xb8"[..]),
        2 => Just(&b"x"[..]),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// The same stream as an independent parser reads it.
fn read_by_another(stream: &[u8]) -> Vec<Event> {
    let mut decoder = SseDecoder::with_limit(NonZeroUsize::new(MOST).expect("not zero"));
    let mut buffer = bytes::Bytes::copy_from_slice(stream);
    let mut events = Vec::new();
    while let Some(event) = decoder.next(&mut buffer) {
        if let Ok(SseEvent::Message(message)) = event {
            let id = message.last_event_id.as_deref().filter(|id| !id.is_empty()).map(Into::into);
            events.push(Event { kind: message.event.to_string().into(), data: message.data.to_string(), id });
        }
    }
    events
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn another_parser_reads_the_same(stream in streams(), chunk in 1_usize..40) {
        prop_assert_eq!(parse(&stream, chunk).expect("a small stream"), read_by_another(&stream));
    }

    #[test]
    fn lines_of_json_do_not_depend_on_the_chunks(lines in proptest::collection::vec("[a-z{}é ]{0,12}", 0..20), chunk in 1_usize..30) {
        let stream = lines.join("\n").into_bytes();
        let (mut reader, mut found) = (Lines::new(MOST), Vec::new());
        for part in stream.chunks(chunk) {
            reader.feed(part, &mut found).expect("short lines");
        }
        reader.finish(&mut found);
        let wanted: Vec<_> = lines.into_iter().filter(|line| !line.trim_ascii().is_empty()).collect();
        prop_assert_eq!(found, wanted);
    }
}

#[test]
fn a_line_of_json_ends_with_a_newline_or_the_stream() {
    let (mut reader, mut lines) = (Lines::new(10), Vec::new());
    reader.feed(b"{\"a\":1}\r\n\r\n  \n{\"b\"", &mut lines).expect("short lines");
    assert_eq!(lines, ["{\"a\":1}"]);
    assert_eq!(reader.feed(b":12345678901234567890}", &mut lines), Err(TooLarge::Event { most: 10 }));
    let (mut reader, mut lines) = (Lines::new(10), Vec::new());
    reader.feed(b"{\"a\":1}", &mut lines).expect("short lines");
    reader.finish(&mut lines);
    assert_eq!(lines, ["{\"a\":1}"]);
}
