//! Answers that are whole, and what is sent to get them.

use bytes::Bytes;
use http::{HeaderValue, Method};

use super::peer::Peer;
use super::sender::{Sender, get, post};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[test]
fn a_response_comes_back_with_status_headers_and_body() {
    let peer = Peer::answering("HTTP/1.1 418 Teapot\r\nContent-Length: 3\r\nX-Kind: tea\r\n\r\npot");
    let report = Sender::new().report(post(&peer.url(), "milk?"));
    let head = report.outcome.head().unwrap();
    assert_eq!(head.status, 418);
    assert_eq!(head.headers, [header("content-length", b"3"), header("x-kind", b"tea")]);
    assert!(matches!(&report.outcome, pg_edge::domain::outcome::Outcome::Response(r) if r.body == "pot"));
    assert_eq!(report.remote, Some(peer.address()));
}

#[test]
fn exactly_the_headers_of_the_request_and_the_named_few_are_sent() {
    let peer = Peer::answering(OK);
    let mut attempt = post(&peer.url(), "body");
    attempt.number = 3;
    attempt.request.headers.append("x-twice", HeaderValue::from_static("a"));
    attempt.request.headers.append("x-twice", HeaderValue::from_static("b"));
    Sender::new().response(attempt);
    let request = peer.notes().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.lines().map(str::to_owned).collect();
    assert_eq!(lines.remove(0), "POST / HTTP/1.1");
    lines.sort();
    let expected = [
        "accept-encoding: gzip,br",
        "accept: */*",
        "content-length: 4",
        &format!("host: {}", peer.address()),
        "user-agent: pg_edge-test",
        "x-edge-attempt: 3",
        "x-twice: a",
        "x-twice: b",
    ];
    assert_eq!(lines, expected);
    assert_eq!(body, "body");
}

#[test]
fn headers_of_the_request_win_over_those_the_engine_would_add() {
    let peer = Peer::answering(OK);
    let mut attempt = get(&peer.url());
    for (name, value) in [("user-agent", "mine"), ("accept", "text/csv"), ("x-edge-attempt", "9"), ("host", "other")] {
        attempt.request.headers.insert(name, HeaderValue::from_static(value));
    }
    Sender::new().response(attempt);
    let request = peer.notes().remove(0);
    for line in ["user-agent: mine", "accept: text/csv", "x-edge-attempt: 9", "host: other"] {
        assert_eq!(request.matches(line).count(), 1, "{request}");
    }
    assert!(!request.contains("pg_edge-test") && !request.contains("*/*"), "{request}");
}

#[test]
fn a_chunked_body_is_put_together() {
    let peer =
        Peer::answering("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");
    assert_eq!(Sender::new().response(get(&peer.url())).body, "abcdefg");
}

#[test]
fn a_body_that_ends_with_the_connection_is_whole() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.request().await;
        conn.send(b"HTTP/1.0 200 OK\r\n\r\nuntil the end").await;
    });
    assert_eq!(Sender::new().response(get(&peer.url())).body, "until the end");
}

#[test]
fn a_body_in_many_small_pieces_is_put_together() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.request().await;
        conn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 300\r\n\r\n").await;
        for _ in 0..100 {
            conn.send(b"abc").await;
            tokio::task::yield_now().await;
        }
        conn.until_closed().await;
    });
    assert_eq!(Sender::new().response(get(&peer.url())).body, "abc".repeat(100));
}

#[test]
fn repeated_headers_are_kept_and_values_may_be_any_bytes() {
    let peer = Peer::answering(b"HTTP/1.1 204 No Content\r\nSet-Cookie: a\r\nX-Odd: \xff\xfe\r\nSet-Cookie: b\r\n\r\n");
    let response = Sender::new().response(get(&peer.url()));
    let cookies: Vec<_> = response.head.headers.iter().filter(|(name, _)| name == "set-cookie").collect();
    assert_eq!(cookies, [&header("set-cookie", b"a"), &header("set-cookie", b"b")]);
    assert!(response.head.headers.contains(&header("x-odd", b"\xff\xfe")));
    assert_eq!((response.head.status, response.body), (204, Bytes::new()));
}

#[test]
fn an_answer_to_head_has_no_body_whatever_length_and_encoding_it_names() {
    let peer = Peer::answering("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\ncontent-encoding: gzip\r\n\r\n");
    let mut attempt = get(&peer.url());
    attempt.request.method = Method::HEAD;
    attempt.limits.max_response_bytes = 10;
    assert_eq!(Sender::new().response(attempt).body, "");
}

#[test]
fn a_redirect_is_an_answer_and_is_not_followed() {
    let peer = Peer::answering("HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(Sender::new().response(get(&peer.url())).head.status, 302);
    assert_eq!(peer.notes().len(), 1);
}

#[test]
fn a_gzip_body_is_decoded() {
    let zipped = [
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\xd7\x51\x48\xce\xcf\x2d".as_slice(),
        b"\x28\x4a\x2d\x2e\x4e\x4d\x51\x28\xcf\x2f\xca\x49\x01\x00\x08\x9e\x34\x35\x17\x00\x00\x00",
    ];
    let peer = Peer::answering(answer_gzip(&zipped.concat()));
    let response = Sender::new().response(get(&peer.url()));
    assert_eq!(response.body, "hello, compressed world");
}

#[test]
fn the_first_response_carries_connection_timings_and_one_on_a_reused_connection_does_not() {
    let (peer, sender) = (Peer::answering(OK), Sender::new());
    let first = sender.report(get(&peer.url())).timings;
    let second = sender.report(get(&peer.url())).timings;
    assert!(first.connect.is_some() && first.dns.is_none() && first.tls.is_none(), "{first:?}");
    assert!(first.connect <= first.first_byte && first.first_byte <= Some(first.total), "{first:?}");
    assert!(second.connect.is_none() && second.first_byte.is_some(), "{second:?}");
}

#[test]
fn a_name_is_resolved_and_the_time_it_took_is_noted() {
    let peer = Peer::answering(OK);
    let mut url = peer.url();
    url.set_host(Some("localhost")).unwrap();
    let report = Sender::new().report(get(&url));
    assert_eq!(report.outcome.head().unwrap().status, 200);
    assert!(report.timings.dns.is_some() && report.timings.connect.is_some(), "{:?}", report.timings);
}

/// An answer with a gzip body.
pub fn answer_gzip(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn header(name: &str, value: &'static [u8]) -> (String, Bytes) {
    (name.to_owned(), Bytes::from_static(value))
}
