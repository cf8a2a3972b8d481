//! Where websockets may go, and over which TLS.

use std::sync::Arc;
use std::time::Duration;

use pg_edge::domain::guard::{Guard, HostPattern};
use pg_edge::domain::network;
use pg_edge::domain::outcome::FailureClass;
use pg_edge::domain::socket::plan::{Plan, Rules, SocketId};
use pg_edge::engine::{OldestTls, Settings, TlsSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Url;

use super::names::Names;
use super::peer::Peer;
use super::sender::{PATIENCE, Sender, settings};
use super::socket_peer::{TEXT, frame, header, welcome};
use super::socket_side::{Side, plan, plan_for, rules, text};
use super::sockets::echo;
use super::tls_peer::{Authority, TlsOptions};

#[test]
fn where_nobody_listens_there_is_no_websocket() {
    let mut url = Peer::refusing();
    url.set_scheme("ws").unwrap();
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
    side.say(vec![text(1, "still here")]);
    side.hear(1);
}

/// Answers over TLS, and says which client it saw.
fn secure(authority: &Authority, options: &TlsOptions<'_>) -> (Peer, Url) {
    let acceptor = options.acceptor(authority);
    let peer = Peer::scripted(move |conn| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(conn.stream).await else { return };
            let mut request = Vec::new();
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
    let limited = Rules { connect: Duration::from_secs(2), handshake: PATIENCE, ..rules() };
    let (class, message) = Side::failure_of(&Sender::new(), Plan { rules: limited, ..plan_for(url) });
    assert_eq!(class, FailureClass::ConnectTimeout);
    assert_eq!(message, "no connection within 2 s: the TLS handshake did not end");
}
