//! Answers that come event by event and end well, and what is sent to get them.

use std::time::Duration;

use http::{HeaderValue, Method};
use pg_edge::domain::attempt::Attempt;
use pg_edge::domain::outcome::{FailureClass, Outcome};
use pg_edge::domain::stream::dialect::Dialect;
use pg_edge::domain::stream::follower::Ended;
use pg_edge::domain::stream::rules::Format;
use serde_json::json;
use tokio::sync::watch;

use super::listener::{Listener, SSE, chunked, rules, streaming};
use super::peer::Peer;
use super::sender::{Sender, get};

/// Sends a whole body in chunks of some size, each on its own where they are small.
fn sending(content_type: &'static str, body: &'static [u8], size: usize) -> Peer {
    Peer::scripted(move |mut conn| async move {
        conn.stream.set_nodelay(true).unwrap();
        while conn.request().await.is_some() {
            conn.note(&format!("on {}", conn.index));
            conn.send(chunked(content_type).as_bytes()).await;
            for part in body.chunks(size) {
                conn.chunk(part).await;
                tokio::task::yield_now().await;
            }
            conn.end().await;
        }
    })
}

#[test]
fn events_are_the_same_in_chunks_of_one_byte_and_in_one_chunk() {
    let body = "\u{feff}: hello\r\nid: 7\r\nevent: tick\r\ndata: 世\r\ndata: 界\r\n\r\ndata: b\r\rdata: lost\n";
    for size in [1, 3, 1_000] {
        let told = Listener::hear(&Sender::new(), streaming(&sending(SSE, body.as_bytes(), size).url()));
        let events: Vec<_> = told.events.iter().map(|event| (event.kind.as_deref(), event.data.as_str())).collect();
        assert_eq!(events, [(Some("tick"), "世\n界"), (Some("message"), "b")], "by {size}");
        assert!(told.events.iter().all(|event| event.id.as_deref() == Some("7")));
        assert!(matches!(told.ended(), Ended::Truncated(_)), "{:?}", told.ended());
        assert_eq!(told.streamed().head, told.head.clone().unwrap());
        assert_eq!(told.head.unwrap().header("content-type"), Some(SSE));
    }
}

#[test]
fn lines_of_json_and_plain_text_are_streams_too() {
    let lines = sending("application/x-ndjson", b"{\"a\":1}\r\n\n{\"b\":2}", 5);
    let told = Listener::hear(&Sender::new(), streaming(&lines.url()));
    assert_eq!(told.data(), ["{\"a\":1}", "{\"b\":2}"]);
    assert!(told.events.iter().all(|event| event.kind.is_none()));
    let text = sending("text/plain; charset=utf-16le", b"\x16\x4e\x4c\x75!\0", 1);
    let raw = Attempt { stream: Some(rules(Format::Raw)), ..get(&text.url()) };
    // In one event or in several, as they were waited for.
    assert_eq!(Listener::hear(&Sender::new(), raw).data().concat(), "世界!");
}

#[test]
fn what_is_no_stream_is_a_body_as_ever() {
    let sender = Sender::new();
    for (status, content_type, format) in
        [(200, "application/json", Format::Auto), (500, SSE, Format::Auto), (404, "text/plain", Format::Sse)]
    {
        let answer =
            format!("HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: 9\r\n\r\ndata: a\n\n");
        let peer = Peer::answering(answer);
        let told = Listener::hear(&sender, Attempt { stream: Some(rules(format)), ..get(&peer.url()) });
        let Outcome::Response(response) = told.report.unwrap().outcome else { panic!("{status} was streamed") };
        assert_eq!((response.head.status, response.body.as_ref()), (status, &b"data: a\n\n"[..]));
        assert_eq!(told.pieces, 0);
    }
    // Nor is a stream that nobody asked for.
    let peer = sending(SSE, b"data: a\n\n", 9);
    assert_eq!(sender.response(get(&peer.url())).body, "data: a\n\n");
}

#[test]
fn an_empty_answer_ends_well() {
    let sender = Sender::new();
    let empty = Listener::hear(&sender, streaming(&sending(SSE, b"", 1).url()));
    assert_eq!((empty.ended(), empty.events.len(), empty.pieces), (&Ended::Complete, 0, 1));
    for status in ["204 No Content", "200 OK"] {
        let peer = Peer::answering(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n"));
        let told = Listener::hear(&sender, Attempt { stream: Some(rules(Format::Sse)), ..get(&peer.url()) });
        match told.report.unwrap().outcome {
            Outcome::Response(response) => assert_eq!((response.head.status, response.body.len()), (204, 0)),
            Outcome::Streamed(streamed) => assert_eq!((streamed.head.status, streamed.events), (200, 0)),
            Outcome::Failure(failure) => panic!("{failure:?}"),
        }
    }
}

#[test]
fn an_answer_to_head_is_no_stream() {
    let peer = Peer::answering(format!("HTTP/1.1 200 OK\r\ncontent-type: {SSE}\r\n\r\n"));
    let mut attempt = streaming(&peer.url());
    attempt.request.method = Method::HEAD;
    assert_eq!(Sender::new().response(attempt).body, "");
}

#[test]
fn an_event_stream_is_asked_for_unless_the_call_asks_for_something_else() {
    for (accept, format, lines) in [
        (None, Format::Sse, ["accept: text/event-stream", "cache-control: no-store"]),
        (Some("text/x"), Format::Sse, ["accept: text/x", "cache-control: no-store"]),
        (None, Format::Auto, ["accept: */*", "x-edge-attempt: 1"]),
    ] {
        let peer = sending(SSE, b"", 1);
        let mut attempt = Attempt { stream: Some(rules(format)), ..get(&peer.url()) };
        if let Some(accept) = accept {
            attempt.request.headers.insert("accept", HeaderValue::from_static(accept));
        }
        Listener::hear(&Sender::new(), attempt);
        let request = peer.notes().remove(0);
        assert!(lines.iter().all(|line| request.contains(line)), "{request}");
        assert_eq!(request.matches("accept:").count(), 1, "{request}");
        assert_eq!(request.contains("no-store"), format == Format::Sse);
    }
}

#[test]
fn the_head_is_told_before_there_is_an_event_and_each_event_before_the_next() {
    let (step, steps) = watch::channel(0);
    let peer = Peer::scripted(move |mut conn| {
        let mut steps = steps.clone();
        async move {
            conn.request().await;
            conn.begin().await;
            for turn in 1..=3 {
                steps.wait_for(|step| *step >= turn).await.unwrap();
                conn.event(&turn.to_string()).await;
            }
            steps.wait_for(|step| *step == 4).await.unwrap();
            conn.end().await;
        }
    });
    let sender = Sender::new();
    let mut listener = Listener::new(&sender);
    sender.engine.send(streaming(&peer.url()));
    listener.until("the head", |listener| listener.told.values().any(|told| told.head.is_some()));
    for turn in 1..=3 {
        assert_eq!(listener.events(), turn - 1);
        step.send(turn).unwrap();
        listener.until("the event", |listener| listener.events() == turn);
    }
    assert_eq!(listener.ended(), 0);
    step.send(4).unwrap();
    listener.until("the end", |listener| listener.ended() == 1);
    assert_eq!(listener.told.values().next().unwrap().ended(), &Ended::Complete);
}

#[test]
fn a_redirect_leads_to_the_stream() {
    let there = sending(SSE, b"data: a\n\n", 9);
    let here = Peer::answering(format!("HTTP/1.1 307 X\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", there.url()));
    let mut attempt = Attempt { stream: Some(rules(Format::Sse)), ..get(&here.url()) };
    attempt.route.redirects = 1;
    assert_eq!(Listener::hear(&Sender::new(), attempt).data(), ["a"]);
    assert!(there.notes()[0].contains("accept: text/event-stream"));
}

#[test]
fn the_answer_of_a_language_model_tells_whose_it_is_and_what_it_cost() {
    let body = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25}}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"Hi\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":15}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    let told = Listener::hear(&Sender::new(), streaming(&sending(SSE, body.as_bytes(), 7).url()));
    let streamed = told.streamed();
    assert_eq!((&streamed.ended, streamed.account.dialect), (&Ended::Complete, Some(Dialect::Anthropic)));
    let usage = json!({"input_tokens": 25, "output_tokens": 15});
    assert_eq!(streamed.account.usage.clone().map(serde_json::Value::Object), Some(usage));
}

#[test]
fn a_compressed_stream_is_unpacked_event_by_event() {
    let (open, gate) = watch::channel(false);
    let peer = Peer::scripted(move |mut conn| {
        let mut gate = gate.clone();
        async move {
            conn.request().await;
            conn.send(chunked(SSE).replace("\r\n\r\n", "\r\ncontent-encoding: gzip\r\n\r\n").as_bytes()).await;
            conn.chunk(b"\x1f\x8b\x08\0\0\0\0\0\x02\x03").await;
            conn.chunk(&stored(b"data: a\n\n", false)).await;
            gate.wait_for(|open| *open).await.unwrap();
            conn.chunk(&stored(b"data: b\n\n", true)).await;
            // The CRC of both, and their length.
            conn.chunk(&[&crc32(b"data: a\n\ndata: b\n\n").to_le_bytes()[..], &18_u32.to_le_bytes()].concat()).await;
            conn.end().await;
        }
    });
    let sender = Sender::new();
    let mut listener = Listener::new(&sender);
    sender.engine.send(streaming(&peer.url()));
    listener.until("the first event", |listener| listener.events() == 1);
    open.send(true).unwrap();
    listener.until("the end", |listener| listener.ended() == 1);
    let told = listener.told.values().next().unwrap();
    assert_eq!((told.data(), told.ended()), (vec!["a", "b"], &Ended::Complete));
}

#[test]
fn a_stream_is_packed_with_gzip_or_not_at_all() {
    let sender = Sender::new();
    for coding in ["br", "zstd", "gzip, gzip", "identity", ""] {
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {SSE}\r\ncontent-encoding: {coding}\r\ncontent-length: 9\r\n\r\ndata: a\n\n"
        );
        let peer = Peer::answering(answer);
        let told = Listener::hear(&sender, streaming(&peer.url()));
        assert!(peer.notes()[0].contains("accept-encoding: gzip\r\n"), "{}", peer.notes()[0]);
        if matches!(coding, "identity" | "") {
            assert_eq!(told.data(), ["a"], "{coding}");
        } else {
            let failure = told.failure();
            assert_eq!((failure.class, failure.events), (FailureClass::Protocol, 0), "{coding}");
            assert_eq!(failure.message, "the stream is packed in a way that was not asked for; gzip would be");
        }
    }
}

#[test]
fn a_connection_serves_the_next_call_after_a_stream_has_ended() {
    let (peer, sender) = (sending(SSE, b"data: a\n\n", 9), Sender::new());
    for _ in 0..3 {
        let report = Listener::hear(&sender, streaming(&peer.url())).report.unwrap();
        assert!(report.timings.total < Duration::from_secs(20));
    }
    assert_eq!(peer.noted("on 0"), 3);
}

/// A stored block (RFC 1951, section 3.2.4).
fn stored(bytes: &[u8], last: bool) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    [&[u8::from(last)][..], &length.to_le_bytes(), &(!length).to_le_bytes(), bytes].concat()
}

/// RFC 1952, section 8, without the table.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
