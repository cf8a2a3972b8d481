//! Redirects over the wire.

use std::time::Duration;

use http::{HeaderValue, Method};
use pg_edge::domain::attempt::Attempt;
use pg_edge::domain::outcome::{FailureClass, Outcome};

use super::peer::Peer;
use super::sender::{Sender, get, post};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Go\r\nlocation: {location}\r\ncontent-length: 5\r\n\r\nthere")
}

fn following(redirects: u8, mut attempt: Attempt) -> Attempt {
    attempt.route.redirects = redirects;
    attempt
}

fn with_header(mut attempt: Attempt, name: &'static str) -> Attempt {
    attempt.request.headers.insert(name, HeaderValue::from_static("given"));
    attempt
}

/// Redirects `/`, and answers everything else.
fn redirecting(status: u16, location: &'static str) -> Peer {
    Peer::scripted(move |mut conn| async move {
        while let Some(request) = conn.request().await {
            let answer = if request.contains(" / HTTP") { redirect(status, location) } else { OK.to_owned() };
            conn.send(answer.as_bytes()).await;
        }
    })
}

#[test]
fn without_redirects_a_redirect_is_the_answer() {
    let peer = redirecting(302, "/there");
    let response = Sender::new().response(get(&peer.url()));
    assert_eq!((response.head.status, response.body.as_ref()), (302, b"there".as_slice()));
    assert_eq!(response.head.header("location"), Some("/there"));
    assert_eq!(peer.notes().len(), 1);
}

#[test]
fn a_redirect_is_followed_with_its_body_or_without() {
    for (status, line, body) in [(302, "GET /there HTTP/1.1", ""), (308, "POST /there HTTP/1.1", "hello")] {
        let peer = redirecting(status, "/there");
        let attempt = with_header(following(1, post(&peer.url(), "hello")), "authorization");
        assert_eq!(Sender::new().response(attempt).body, "ok");
        let notes = peer.notes();
        assert!(notes[1].starts_with(line) && notes[1].ends_with(&format!("\r\n\r\n{body}")), "{notes:?}");
        assert!(notes[1].contains("authorization: given") && notes[1].contains("x-edge-attempt: 1"), "{notes:?}");
    }
}

#[test]
fn a_head_request_stays_one() {
    let peer = redirecting(303, "/there");
    let mut attempt = following(1, get(&peer.url()));
    attempt.request.method = Method::HEAD;
    assert_eq!(Sender::new().response(attempt).head.status, 200);
    assert!(peer.notes()[1].starts_with("HEAD /there"));
}

#[test]
fn another_origin_sees_no_header_of_the_users() {
    let second = Peer::answering(OK);
    let first = Peer::answering(redirect(307, second.url().as_str()));
    let mut attempt = following(1, post(&first.url(), "hello"));
    for name in ["authorization", "cookie", "apikey", "idempotency-key", "webhook-signature", "x-own"] {
        attempt = with_header(attempt, name);
    }
    let report = Sender::new().report(with_header(attempt, "content-type"));
    assert!(matches!(report.outcome, Outcome::Response(_)), "{report:?}");
    assert_eq!(report.remote, Some(second.address()));
    assert_eq!(first.notes()[0].matches(": given").count(), 7);
    let seen = &second.notes()[0];
    assert_eq!(seen.matches(": given").count(), 1, "{seen}");
    assert!(seen.contains("content-type: given") && seen.ends_with("hello"), "{seen}");
}

#[test]
fn a_circle_ends_at_the_limit_and_the_head_is_kept() {
    let peer = Peer::answering(redirect(302, "/"));
    let failure = Sender::new().failure(following(3, get(&peer.url())));
    assert_eq!(failure.class, FailureClass::Redirect);
    assert_eq!(failure.message, "after a redirect: the peer redirects more often than the call may follow");
    assert_eq!(failure.head.unwrap().status, 302);
    assert_eq!(peer.notes().len(), 4);
}

#[test]
fn a_location_that_cannot_be_called_is_a_failure() {
    let peer = Peer::answering(redirect(301, "ftp://files.example/"));
    let (class, message) = Sender::new().refusal(following(3, get(&peer.url())));
    assert_eq!(class, FailureClass::Redirect);
    assert_eq!(message, "the peer redirects to something that is not an http or https URL");
}

#[test]
fn the_limits_hold_for_all_hops_together() {
    let peer = Peer::scripted(|mut conn| async move {
        while conn.request().await.is_some() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            conn.send(redirect(302, "/").as_bytes()).await;
        }
    });
    // No hop takes as long as that, and as many as may be followed take far longer.
    let mut attempt = following(u8::MAX, get(&peer.url()));
    attempt.limits.total = Duration::from_secs(4);
    let failure = Sender::new().failure(attempt);
    assert_eq!(failure.class, FailureClass::Timeout);
    assert_eq!(failure.message, "after a redirect: no answer within 4 s: no response head came");
}

#[test]
fn a_hop_that_cannot_be_reached_says_that_it_was_a_hop() {
    let peer = Peer::answering(redirect(302, Peer::refusing().as_str()));
    let (class, message) = Sender::new().refusal(following(1, get(&peer.url())));
    assert_eq!(class, FailureClass::Connect);
    assert_eq!(message, "after a redirect: no connection could be made: connection refused");
}
