//! Peers that break off, lie, or are not there.

use http::Method;
use pg_edge::domain::outcome::{FailureClass, Outcome};
use url::Url;

use super::peer::Peer;
use super::sender::{Sender, eventually, get, numbered, post};

#[test]
fn a_refused_connection_says_so() {
    let url = Peer::refusing().join("/secret-path?token=secret").unwrap();
    let (class, message) = Sender::new().refusal(get(&url));
    assert_eq!((class, message.as_str()), (FailureClass::Connect, "no connection could be made: connection refused"));
}

#[test]
fn a_name_that_does_not_exist_is_a_failure_of_name_resolution() {
    let url = Url::parse("http://no-such-name.invalid/").unwrap();
    let (class, message) = Sender::new().refusal(get(&url));
    assert_eq!(class, FailureClass::Dns);
    assert!(message.starts_with("the name could not be resolved: "), "{message}");
    assert!(!message.contains("lookup address"), "{message}");
}

#[test]
fn a_peer_that_closes_without_a_word_broke_the_protocol() {
    let peer = Peer::scripted(|mut conn| async move { drop(conn.request().await) });
    let failure = Sender::new().failure(get(&peer.url()));
    assert_eq!(failure.class, FailureClass::Protocol);
    assert_eq!(failure.message, "no valid response head came: connection closed before message completed");
    assert_eq!(failure.head, None);
}

#[test]
fn a_body_shorter_than_announced_broke_off_and_the_head_is_kept() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.request().await;
        conn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort").await;
    });
    let failure = Sender::new().failure(get(&peer.url()));
    assert_eq!(failure.class, FailureClass::Protocol);
    assert_eq!(failure.head.unwrap().status, 200);
}

#[test]
fn a_chunked_body_without_its_end_broke_off() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.request().await;
        conn.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
    });
    assert_eq!(Sender::new().failure(get(&peer.url())).class, FailureClass::Protocol);
}

#[test]
fn bytes_beyond_the_announced_length_do_not_reach_the_next_call() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.request().await;
        conn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 500 Smuggled\r\ncontent-length: 0\r\n\r\n")
            .await;
        conn.until_closed().await;
    });
    let sender = Sender::new();
    assert_eq!(sender.response(get(&peer.url())).body, "ok");
    assert_eq!(sender.response(get(&peer.url())).head.status, 200);
}

#[test]
fn a_connection_reset_in_the_body_broke_off() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.request().await;
        conn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort").await;
        conn.stream.set_zero_linger().unwrap();
    });
    let failure = Sender::new().failure(get(&peer.url()));
    assert_eq!(failure.class, FailureClass::Protocol);
}

#[test]
fn an_answer_that_is_not_http_broke_the_protocol() {
    let peer = Peer::answering("SSH-2.0-OpenSSH_9.2p1\r\n\r\n");
    let (class, message) = Sender::new().refusal(get(&peer.url()));
    assert_eq!(class, FailureClass::Protocol);
    assert!(message.starts_with("no valid response head came: "), "{message}");
}

#[test]
fn ten_thousand_headers_are_refused() {
    let headers: String = (0..10_000).map(|n| format!("x-{n}: {n}\r\n")).collect();
    let peer = Peer::answering(format!("HTTP/1.1 200 OK\r\n{headers}\r\n"));
    assert_eq!(Sender::new().failure(get(&peer.url())).class, FailureClass::Protocol);
}

#[test]
fn a_body_that_is_not_what_its_encoding_says_cannot_be_read() {
    let peer = Peer::answering(super::answers::answer_gzip(b"this is not gzip"));
    let failure = Sender::new().failure(post(&peer.url(), ""));
    assert_eq!(failure.class, FailureClass::Protocol);
    assert!(failure.message.starts_with("the response body cannot be read: "), "{}", failure.message);
    assert!(failure.head.is_some());
}

#[test]
fn a_tunnel_is_not_opened() {
    let peer = Peer::silent();
    let mut attempt = get(&peer.url());
    attempt.request.method = Method::CONNECT;
    assert_eq!(Sender::new().failure(attempt).class, FailureClass::InvalidRequest);
}

#[test]
fn a_call_sent_twice_at_the_same_time_is_a_fault_of_ours_and_harms_no_other() {
    let (peer, sender) = (Peer::silent(), Sender::new());
    sender.engine.send(get(&peer.url()));
    assert_eq!(sender.failure(get(&peer.url())).class, FailureClass::Internal);
    assert_eq!(sender.engine.in_flight(), 1);
}

#[test]
fn running_out_of_descriptors_is_our_own_fault_and_says_so() {
    let report = super::child::run("failures::sends_more_calls_than_descriptors_allow", &Peer::silent().url(), &[]);
    assert!(report.contains("Exhausted: this process ran out of a resource: too many open files"), "{report}");
}

#[test]
#[ignore = "is the child process of another test"]
#[allow(unsafe_code)]
fn sends_more_calls_than_descriptors_allow() {
    let sender = Sender::new();
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as libc::rlim_t;
    let limit = libc::rlimit { rlim_cur: open + 5, rlim_max: open + 5 };
    // SAFETY: setrlimit only reads the struct it is given.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
    for call in 0..50 {
        sender.engine.send(numbered(call, get(&super::child::given_url())));
    }
    let mut reports = Vec::new();
    eventually("calls fail", || {
        sender.engine.drain(&mut Vec::new(), &mut reports);
        reports.len() > 40
    });
    for report in reports {
        let Outcome::Failure(failure) = report.outcome else { continue };
        println!("{:?}: {}", failure.class, failure.message);
    }
}
