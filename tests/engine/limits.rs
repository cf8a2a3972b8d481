//! Time and size limits.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use pg_edge::domain::outcome::FailureClass;
use url::Url;

use super::answers::answer_gzip;
use super::peer::Peer;
use super::sender::{Sender, eventually, get};

#[test]
fn a_peer_without_an_answer_runs_into_the_first_byte_limit() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.request().await;
        conn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        conn.until_closed().await;
    });
    let sender = Sender::new();
    // From then on there is a connection, so that the limit is never that of making one.
    sender.response(get(&peer.url()));
    let mut attempt = get(&peer.url());
    attempt.limits.first_byte = Some(Duration::from_millis(60));
    let (class, message) = sender.refusal(attempt);
    assert_eq!((class, message.as_str()), (FailureClass::FirstByteTimeout, "no response head within 60 ms"));
    eventually("the connection is closed", || peer.noted("closed") == 1);
}

#[test]
fn without_a_first_byte_limit_the_total_limit_counts() {
    let peer = Peer::silent();
    let mut attempt = get(&peer.url());
    attempt.limits.total = Duration::from_secs(3);
    let (class, message) = Sender::new().refusal(attempt);
    assert_eq!((class, message.as_str()), (FailureClass::Timeout, "no answer within 3 s: no response head came"));
}

#[test]
fn a_body_that_hangs_runs_into_the_total_limit_and_the_head_is_kept() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.request().await;
        conn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
        conn.until_closed().await;
    });
    let mut attempt = get(&peer.url());
    attempt.limits.first_byte = Some(Duration::from_secs(60));
    attempt.limits.total = Duration::from_secs(5);
    let failure = Sender::new().failure(attempt);
    assert_eq!(failure.class, FailureClass::Timeout);
    assert_eq!(failure.message, "the response body did not end within 5 s");
    assert_eq!(failure.head.unwrap().status, 200);
    eventually("the connection is closed", || peer.noted("closed") == 1);
}

#[test]
fn a_peer_that_drips_for_ever_runs_into_the_total_limit() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.request().await;
        conn.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        while conn.send(b"1\r\nx\r\n").await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        conn.note("closed");
    });
    let mut attempt = get(&peer.url());
    attempt.limits.total = Duration::from_secs(4);
    let failure = Sender::new().failure(attempt);
    assert_eq!(failure.class, FailureClass::Timeout);
    assert_eq!(failure.head.unwrap().status, 200);
    eventually("the connection is closed", || peer.noted("closed") == 1);
}

#[test]
fn a_peer_that_does_not_accept_runs_into_the_connect_timeout() {
    let full = FullBacklog::new();
    let mut attempt = get(&full.url());
    attempt.limits.connect = Duration::from_secs(1);
    let (class, message) = Sender::new().refusal(attempt);
    assert_eq!(class, FailureClass::ConnectTimeout);
    assert_eq!(message, "no connection within 1 s: the peer did not accept it");
}

#[test]
fn a_first_byte_limit_that_ends_before_there_is_a_connection_says_so() {
    let full = FullBacklog::new();
    let mut attempt = get(&full.url());
    attempt.limits.first_byte = Some(Duration::from_secs(1));
    let (class, message) = Sender::new().refusal(attempt);
    assert_eq!(class, FailureClass::ConnectTimeout);
    assert_eq!(message, "no connection within 1 s: the peer did not accept it");
}

#[test]
fn a_body_of_exactly_the_limit_is_taken_and_one_byte_more_is_not() {
    let sender = Sender::new();
    for (length, fits) in [(1_000, true), (1_001, false)] {
        for chunked in [false, true] {
            let body = "x".repeat(length);
            let peer = Peer::answering(if chunked {
                format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n")
            } else {
                format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}")
            });
            let mut attempt = get(&peer.url());
            attempt.limits.max_response_bytes = 1_000;
            if fits {
                assert_eq!(sender.response(attempt).body.len(), 1_000);
            } else {
                let failure = sender.failure(attempt);
                assert_eq!(failure.class, FailureClass::ResponseTooLarge);
                assert_eq!(failure.message, "the response body is larger than the limit of 1000 bytes");
                assert_eq!(failure.head.unwrap().status, 200);
            }
        }
    }
}

#[test]
fn an_announced_length_over_the_limit_is_refused_before_any_body_came() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.request().await;
        conn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999\r\n\r\n").await;
        conn.until_closed().await;
    });
    assert_eq!(Sender::new().failure(get(&peer.url())).class, FailureClass::ResponseTooLarge);
    eventually("the connection is closed", || peer.noted("closed") == 1);
}

#[test]
fn an_endless_body_is_cut_at_the_limit() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.request().await;
        conn.send(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while conn.send(&[b'x'; 65_536]).await {}
        conn.note("closed");
    });
    assert_eq!(Sender::new().failure(get(&peer.url())).class, FailureClass::ResponseTooLarge);
    eventually("the connection is closed", || peer.noted("closed") == 1);
}

#[test]
fn a_gzip_bomb_is_cut_at_the_limit() {
    let peer = Peer::answering(answer_gzip(&bomb()));
    assert_eq!(Sender::new().failure(get(&peer.url())).class, FailureClass::ResponseTooLarge);
}

/// Ten million zeros in 65 kB: one literal, then the same match over and over, in a block of fixed codes
/// (RFC 1951, section 3.2.6).
fn bomb() -> Vec<u8> {
    const FINAL_FIXED_BLOCK: &str = "110";
    const ZERO: &str = "00110000";
    const REPEAT_258_FROM_1_BACK: &str = "1100010100000";
    let bits = [FINAL_FIXED_BLOCK, ZERO].concat() + &REPEAT_258_FROM_1_BACK.repeat(10_000_000 / 258);
    let byte = |eight: &[u8]| eight.iter().rev().fold(0, |byte, bit| byte << 1 | (bit - b'0'));
    let deflated: Vec<u8> = bits.as_bytes().chunks(8).map(byte).collect();
    [b"\x1f\x8b\x08\0\0\0\0\0\0\xff".as_slice(), &deflated].concat()
}

/// A listener whose queue of connections is full: further ones get no answer at all.
struct FullBacklog {
    address: SocketAddr,
    _listener: tokio::net::TcpListener,
    _runtime: tokio::runtime::Runtime,
    _queued: Vec<TcpStream>,
}

impl FullBacklog {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = {
            let _inside = runtime.enter();
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            socket.listen(0).unwrap()
        };
        let address = listener.local_addr().unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(300));
        let mut queued = Vec::new();
        // One that did not get through may only have been slow; two in a row were not.
        while let Ok(stream) = connect().or_else(|_slow| connect()) {
            queued.push(stream);
        }
        Self { address, _listener: listener, _runtime: runtime, _queued: queued }
    }

    fn url(&self) -> Url {
        Url::parse(&format!("http://{}/", self.address)).unwrap()
    }
}
