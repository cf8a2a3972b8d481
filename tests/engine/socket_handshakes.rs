//! Handshakes that come to nothing.

use std::sync::Arc;
use std::time::Duration;

use pg_edge::domain::outcome::FailureClass;
use pg_edge::domain::socket::end::End;
use pg_edge::domain::socket::plan::{Plan, Rules, SocketId};
use url::Url;

use super::names::Names;
use super::peer::Peer;
use super::sender::{Sender, eventually, settings};
use super::socket_peer::welcome;
use super::socket_side::{Side, plan, plan_for, rules};

#[test]
fn an_answer_that_is_no_websocket_is_told_with_its_status() {
    for (line, status, message) in [
        ("426 Upgrade Required", 426, "426 Upgrade Required"),
        ("401 Nobody Knows You", 401, "401 Unauthorized"),
        ("200 OK", 200, "200 OK"),
        ("302 Found", 302, "302 Found"),
        ("299 Strange", 299, "299"),
    ] {
        let peer =
            Peer::answering(format!("HTTP/1.1 {line}\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 2\r\n\r\nno"));
        let refusal = Side::refusal_of(&Sender::new(), plan(&peer));
        assert_eq!((refusal.status, refusal.retry_after), (status, None));
        assert_eq!(refusal.message, format!("the server answered the handshake with {message}"));
    }
}

#[test]
fn an_old_proxy_that_is_too_busy_is_understood() {
    let peer = Peer::answering("HTTP/1.0 503 Service Unavailable\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n");
    let refusal = Side::refusal_of(&Sender::new(), plan(&peer));
    assert_eq!((refusal.status, refusal.retry_after.as_deref()), (503, Some("7")));
}

#[test]
fn a_connection_that_was_refused_the_handshake_is_not_used_again() {
    let peer = Peer::answering("HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n");
    let sender = Sender::new();
    for number in 1..=3 {
        Side::refusal_of(&sender, Plan { socket: SocketId(number), ..plan(&peer) });
    }
    eventually("all connections are opened", || peer.notes().len() == 3);
}

/// The end of a handshake that is answered with these headers, beside the status and those that fit.
fn answered(offered: &[&str], answer: impl Fn(String) -> String + Send + Sync + 'static) -> End {
    let answer = Arc::new(answer);
    let peer = Peer::scripted(move |mut conn| {
        let answer = Arc::clone(&answer);
        async move {
            let request = conn.request().await.unwrap();
            conn.send(answer(welcome(&request, "")).as_bytes()).await;
            conn.until_closed().await;
        }
    });
    let subprotocols = offered.iter().map(|name| (*name).to_owned()).collect();
    let end = Side::end_of(&Sender::new(), Plan { subprotocols, ..plan(&peer) });
    eventually("the connection is closed", || peer.noted("closed") == 1);
    end
}

fn with(more: &'static str) -> impl Fn(String) -> String {
    move |answer| format!("{}{more}\r\n\r\n", &answer[..answer.len() - 2])
}

fn without(name: &'static str) -> impl Fn(String) -> String {
    move |answer| answer.replacen(&format!("{name}:"), "x-other:", 1)
}

#[test]
fn an_answer_that_does_not_fit_the_handshake_is_a_violation() {
    let violation = |message: &str| End::Violation { code: 1002, message: message.to_owned() };
    let answers = "the server's answer to the handshake";
    let accept = violation(&format!("{answers} has a wrong Sec-WebSocket-Accept"));
    assert_eq!(answered(&[], without("sec-websocket-accept")), accept);
    assert_eq!(answered(&[], |answer| answer.replace("accept: ", "accept: x")), accept);
    assert_eq!(answered(&[], with("sec-websocket-accept: again")), accept);
    let upgrade = violation(&format!("{answers} does not say \"Upgrade: websocket\""));
    assert_eq!(answered(&[], without("upgrade")), upgrade);
    assert_eq!(answered(&[], |answer| answer.replace("websocket\r\n", "h2c\r\n")), upgrade);
    let connection = violation(&format!("{answers} does not say \"Connection: Upgrade\""));
    assert_eq!(answered(&[], |answer| answer.replace("connection: Upgrade", "connection: close")), connection);
    let extension = violation("the server chose an extension that it was not offered");
    assert_eq!(answered(&[], with("sec-websocket-extensions: permessage-deflate")), extension);
    let unoffered = violation("the server chose a subprotocol that it was not offered");
    assert_eq!(answered(&[], with("sec-websocket-protocol: chat")), unoffered);
    assert_eq!(answered(&["talk"], with("sec-websocket-protocol: chat")), unoffered);
    assert_eq!(answered(&["a", "b"], with("sec-websocket-protocol: a\r\nsec-websocket-protocol: b")), unoffered);
    let none = violation("the server chose none of the subprotocols that it was offered");
    assert_eq!(answered(&["talk"], with("")), none);
}

#[test]
fn an_answer_with_more_than_it_needs_is_as_good() {
    let peer = Peer::scripted(|mut conn| async move {
        let request = conn.request().await.unwrap();
        let answer = welcome(&request, "server: old\r\n");
        conn.send(answer.replace("connection: Upgrade", "Connection: keep-alive, upgrade").as_bytes()).await;
        conn.converse().await;
    });
    Side::opened(&Sender::new(), plan(&peer));
}

/// A peer that answers whatever comes with these bytes, and closes.
fn answers_with(answer: &'static str) -> Peer {
    Peer::scripted(move |mut conn| async move {
        conn.request().await;
        conn.send(answer.as_bytes()).await;
    })
}

#[test]
fn an_answer_that_is_not_http_is_a_violation() {
    let peer = answers_with("SSH-2.0-OpenSSH_9.2\r\n");
    let end = Side::end_of(&Sender::new(), plan(&peer));
    let End::Violation { code: 1002, message } = end else { panic!("{end:?}") };
    assert!(message.starts_with("no valid response head came: "), "{message}");
}

#[test]
fn an_answer_that_breaks_off_is_a_failure() {
    for answer in ["HTTP/1.1 101 Switching Protocols\r\nupgr", ""] {
        let peer = answers_with(answer);
        let (class, message) = Side::failure_of(&Sender::new(), plan(&peer));
        let told = message.starts_with("no valid response head came: ");
        assert!(class == FailureClass::Protocol && told, "{answer}: {class:?} {message}");
    }
}

#[test]
fn an_answer_that_drips_in_is_not_waited_for_longer_than_allowed() {
    let peer = Peer::scripted(|mut conn| async move {
        let request = conn.request().await.unwrap();
        for byte in welcome(&request, "").bytes() {
            if !conn.send(&[byte]).await {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        conn.until_closed().await;
    });
    let limited = |millis| Rules { handshake: Duration::from_millis(millis), ..rules() };
    let sender = Sender::new();
    let (class, message) = Side::failure_of(&sender, Plan { rules: limited(700), ..plan(&peer) });
    assert_eq!(class, FailureClass::FirstByteTimeout);
    assert_eq!(message, "the handshake was not answered within 700 ms");
    eventually("the connection is closed", || peer.noted("closed") == 1);
    // What drips is understood all the same, where there is time.
    Side::opened(&sender, Plan { socket: SocketId(2), rules: limited(60_000), ..plan(&peer) });
}

#[test]
fn a_peer_that_does_not_answer_and_one_that_cannot_be_reached_are_told_apart() {
    let limited = |plan: Plan, connect, handshake| {
        let millis = Duration::from_millis;
        Plan { rules: Rules { connect: millis(connect), handshake: millis(handshake), ..rules() }, ..plan }
    };
    let sender = Sender::resolving(settings(), &Names::answering(&[]));
    let (class, message) = Side::failure_of(&sender, limited(plan(&Peer::silent()), 60_000, 2_000));
    assert_eq!(
        (class, message.as_str()),
        (FailureClass::FirstByteTimeout, "the handshake was not answered within 2 s")
    );
    let nowhere = || plan_for(Url::parse("ws://peer.test/").unwrap());
    for (connect, handshake, limit) in [(60, 60_000, 60), (60_000, 70, 70)] {
        let (class, message) = Side::failure_of(&sender, limited(nowhere(), connect, handshake));
        assert_eq!(class, FailureClass::ConnectTimeout);
        assert_eq!(message, format!("no connection within {limit} ms: the name was not resolved"));
    }
}

#[test]
fn a_url_that_is_no_websockets_and_a_subprotocol_that_is_no_header_are_told() {
    let sender = Sender::new();
    let (class, message) = Side::failure_of(&sender, plan_for(Peer::silent().url()));
    assert_eq!(
        (class, message.as_str()),
        (FailureClass::InvalidRequest, "the URL of a websocket begins with ws:// or wss://")
    );
    let odd = Plan { subprotocols: vec!["a\nb".to_owned()], ..plan(&Peer::silent()) };
    let (class, message) = Side::failure_of(&sender, odd);
    assert_eq!((class, message.as_str()), (FailureClass::InvalidRequest, "a subprotocol cannot be sent in a header"));
}

#[test]
fn a_websocket_that_is_closed_before_it_stands_ends_at_once() {
    let (peer, sender) = (Peer::silent(), Sender::new());
    sender.engine.open_socket(plan(&peer));
    eventually("the handshake has come", || !peer.notes().is_empty());
    let mut side = Side::new(&sender);
    side.close(1000, "");
    side.until("the end", |side| side.told(SocketId(1)).end.is_some());
    assert_eq!(side.end(), End::ClosedByUs);
    eventually("the connection is closed", || peer.noted("closed") == 1);
}
