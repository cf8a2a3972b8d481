//! Handshakes that come to nothing.

use std::sync::Arc;
use std::time::Duration;

use pg_edge::domain::guard::{Guard, HostPattern};
use pg_edge::domain::network;
use pg_edge::domain::outcome::FailureClass;
use pg_edge::domain::socket::end::End;
use pg_edge::domain::socket::plan::{Plan, Rules, SocketId};
use pg_edge::engine::{OldestTls, Settings, TlsSettings};
use url::Url;

use super::names::Names;
use super::peer::Peer;
use super::sender::{PATIENCE, Sender, eventually, settings};
use super::socket_peer::{TEXT, frame, header, welcome};
use super::socket_side::{Side, plan, plan_for, rules};
use super::sockets::echo;
use super::tls_peer::{Authority, TlsOptions};

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

#[test]
fn an_answer_that_is_not_http_and_one_that_breaks_off_are_failures() {
    for (answer, told) in [
        ("SSH-2.0-OpenSSH_9.2\r\n", "no valid response head came: "),
        ("HTTP/1.1 101 Switching Protocols\r\nupgr", "no valid response head came: "),
        ("", "no valid response head came: "),
    ] {
        let peer = Peer::scripted(move |mut conn| async move {
            conn.request().await;
            conn.send(answer.as_bytes()).await;
        });
        let (class, message) = Side::failure_of(&Sender::new(), plan(&peer));
        assert!(class == FailureClass::Protocol && message.starts_with(told), "{class:?} {message}");
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
    let (class, message) = Side::failure_of(&sender, Plan { rules: limited(150), ..plan(&peer) });
    assert_eq!(class, FailureClass::FirstByteTimeout);
    assert_eq!(message, "the handshake was not answered within 150 ms");
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
    let (class, message) = Side::failure_of(&sender, limited(plan(&Peer::silent()), 10_000, 60));
    assert_eq!(
        (class, message.as_str()),
        (FailureClass::FirstByteTimeout, "the handshake was not answered within 60 ms")
    );
    let nowhere = || plan_for(Url::parse("ws://peer.test/").unwrap());
    for (connect, handshake, limit) in [(60, 10_000, 60), (10_000, 70, 70)] {
        let (class, message) = Side::failure_of(&sender, limited(nowhere(), connect, handshake));
        assert_eq!(class, FailureClass::ConnectTimeout);
        assert_eq!(message, format!("no connection within {limit} ms: the name was not resolved"));
    }
}

#[test]
fn where_nobody_listens_there_is_no_websocket() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = Url::parse(&format!("ws://{closed}/")).unwrap();
    let (class, message) = Side::failure_of(&Sender::new(), plan_for(url));
    assert_eq!((class, message.as_str()), (FailureClass::Connect, "no connection could be made: connection refused"));
}

#[test]
fn every_address_of_a_name_is_tried() {
    let peer = echo();
    let mut plan = plan(&peer);
    plan.url.set_host(Some("peer.test")).unwrap();
    let sender = Sender::resolving(settings(), &Names::answering(&["127.0.0.9 127.0.0.1"]));
    Side::opened(&sender, plan);
}

#[test]
fn the_guard_holds_for_websockets_by_address_and_by_name() {
    let peer = echo();
    let at = |host: &str| {
        let mut plan = plan(&peer);
        plan.url.set_host(Some(host)).unwrap();
        plan
    };
    let sender = Sender::with(Settings { guard: Guard::default(), ..settings() });
    for host in ["127.0.0.1", "0x7f000001", "[::ffff:127.0.0.1]", "localhost"] {
        let (class, message) = Side::failure_of(&sender, at(host));
        assert_eq!((class, message.as_str()), (FailureClass::Blocked, "the host's address is not allowed"), "{host}");
    }
    let one = Guard { allowed_networks: network::parse("127.0.0.1").unwrap(), ..Guard::default() };
    let denied = Guard { denied_hosts: HostPattern::parse_list("bad.test").unwrap(), ..one.clone() };
    for (guard, told) in [(one, "the host's address is not allowed"), (denied, "the host is denied")] {
        let sender = Sender::resolving(Settings { guard, ..settings() }, &Names::answering(&["127.0.0.2"]));
        assert_eq!(Side::failure_of(&sender, at("bad.test")), (FailureClass::Blocked, told.to_owned()));
    }
    assert!(peer.notes().is_empty());
}

#[test]
fn a_stricter_guard_leaves_open_websockets_open() {
    let (peer, sender) = (echo(), Sender::new());
    let mut side = Side::opened(&sender, plan(&peer));
    sender.engine.reconfigure(Settings { guard: Guard::default(), ..settings() });
    let blocked = Plan { socket: SocketId(2), ..plan(&peer) };
    sender.engine.open_socket(blocked);
    side.until("the second one is blocked", |side| side.told(SocketId(2)).end.is_some());
    side.say(vec![super::socket_side::text(1, "still here")]);
    side.hear(1);
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

/// Answers over TLS, and says which client it saw.
fn secure(authority: &Authority, options: &TlsOptions<'_>) -> (Peer, Url) {
    let acceptor = options.acceptor(authority);
    let peer = Peer::scripted(move |conn| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(conn.stream).await else { return };
            let mut request = Vec::new();
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            while !request.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut request).await.unwrap() == 0 {
                    return;
                }
            }
            let request = String::from_utf8(request).unwrap();
            assert!(header(&request, "host").unwrap().starts_with("localhost:"));
            let session = stream.get_ref().1;
            let known = if session.peer_certificates().is_some() { "known" } else { "stranger" };
            let protocol = String::from_utf8_lossy(session.alpn_protocol().unwrap_or_default()).into_owned();
            stream.write_all(welcome(&request, "").as_bytes()).await.unwrap();
            stream.write_all(&frame(TEXT, format!("{known} over {protocol}").as_bytes())).await.unwrap();
            stream.flush().await.unwrap();
            let _closed = stream.read_buf(&mut Vec::new()).await;
        }
    });
    let mut url = peer.url();
    url.set_scheme("wss").unwrap();
    url.set_host(Some("localhost")).unwrap();
    (peer, url)
}

fn trusting(authority: &Authority) -> Settings {
    Settings { tls: TlsSettings { ca_file: Some(authority.file().to_owned()), oldest: OldestTls::V1_2 }, ..settings() }
}

#[test]
fn a_websocket_over_tls_is_one_over_http_1_also_where_the_peer_knows_better() {
    let authority = Authority::new();
    let (_peer, url) = secure(&authority, &TlsOptions::default());
    let sender = Sender::with(trusting(&authority));
    let mut side = Side::opened(&sender, plan_for(url.clone()));
    side.hear(1);
    assert_eq!(side.story().texts(), ["stranger over http/1.1"]);
    let (class, message) = Side::failure_of(&Sender::new(), plan_for(url));
    assert_eq!(class, FailureClass::Tls);
    assert!(message.contains("issuer is trusted neither"), "{message}");
}

#[test]
fn a_client_certificate_is_shown_for_a_websocket_too() {
    let authority = Authority::new();
    let (_peer, url) = secure(&authority, &TlsOptions { clients_of: Some(&authority), ..TlsOptions::default() });
    let sender = Sender::with(trusting(&authority));
    let identity = Some(Arc::new(authority.identity((2000, 4000))));
    let mut side = Side::opened(&sender, Plan { identity, ..plan_for(url.clone()) });
    side.hear(1);
    assert_eq!(side.story().texts(), ["known over http/1.1"]);
    let (class, message) = Side::failure_of(&sender, Plan { socket: SocketId(2), ..plan_for(url) });
    assert_eq!(class, FailureClass::Tls, "{message}");
}

#[test]
fn a_server_that_never_ends_its_tls_handshake_runs_into_the_limit() {
    let peer = Peer::scripted(|mut conn| async move { conn.until_closed().await });
    let mut url = peer.url();
    url.set_scheme("wss").unwrap();
    let limited = Rules { connect: Duration::from_millis(80), handshake: PATIENCE, ..rules() };
    let (class, message) = Side::failure_of(&Sender::new(), Plan { rules: limited, ..plan_for(url) });
    assert_eq!(class, FailureClass::ConnectTimeout);
    assert_eq!(message, "no connection within 80 ms: the TLS handshake did not end");
}
