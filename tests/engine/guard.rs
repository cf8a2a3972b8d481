//! The guard against names that resolve to what they like. 127.0.0.1 plays the public address, 127.0.0.2 the private
//! one.

use std::net::TcpListener;
use std::time::Duration;

use pg_edge::domain::guard::{Guard, HostPattern};
use pg_edge::domain::network;
use pg_edge::domain::outcome::{FailureClass, Outcome};
use pg_edge::engine::Settings;
use url::Url;

use super::names::Names;
use super::peer::Peer;
use super::sender::{Sender, eventually, get, numbered, post, settings};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const BLOCKED: &str = "the host's address is not allowed";

/// Only 127.0.0.1 is let through.
fn guarded() -> Settings {
    let guard = Guard { allowed_networks: network::parse("127.0.0.1").unwrap(), ..Guard::default() };
    Settings { guard, ..settings() }
}

fn unguarded(allowed_hosts: &str, denied_hosts: &str) -> Settings {
    let hosts = |list| HostPattern::parse_list(list).unwrap();
    let guard = Guard { allowed_hosts: hosts(allowed_hosts), denied_hosts: hosts(denied_hosts), ..guarded().guard };
    Settings { guard, ..settings() }
}

/// The same peer under another host.
fn at(peer: &Peer, host: &str) -> Url {
    let mut url = peer.url();
    url.set_host(Some(host)).unwrap();
    url
}

/// A listener at the private address, on the port of a peer, to see whether anybody comes.
struct Private(TcpListener);

impl Private {
    fn beside(peer: &Peer) -> Self {
        let listener = TcpListener::bind(("127.0.0.2", peer.address().port())).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn was_visited(&self) -> bool {
        self.0.accept().is_ok()
    }
}

#[test]
fn by_default_no_spelling_of_a_loopback_address_is_connected_to() {
    let peer = Peer::answering(OK);
    let sender = Sender::with(Settings { guard: Guard::default(), ..settings() });
    let hosts = ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "0.0.0.0", "[::ffff:127.0.0.1]"];
    for host in hosts.into_iter().chain(["[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "localhost"]) {
        let (class, message) = sender.refusal(get(&at(&peer, host)));
        assert_eq!((class, message.as_str()), (FailureClass::Blocked, BLOCKED), "{host}");
    }
    assert!(peer.notes().is_empty());
}

#[test]
fn a_name_for_a_private_address_is_blocked() {
    let peer = Peer::answering(OK);
    for addresses in ["127.0.0.2", "10.0.0.1 169.254.169.254", "::1", "::ffff:127.0.0.2", "64:ff9b::7f00:1"] {
        let private = Private::beside(&peer);
        let names = Names::answering(&[addresses]);
        let (class, message) = Sender::resolving(guarded(), &names).refusal(get(&at(&peer, "peer.test")));
        assert_eq!((class, message.as_str()), (FailureClass::Blocked, BLOCKED), "{addresses}");
        assert!(!private.was_visited());
        assert_eq!(names.asked(), ["peer.test"]);
    }
}

#[test]
fn of_mixed_addresses_only_the_public_ones_are_tried() {
    let peer = Peer::answering(OK);
    let private = Private::beside(&peer);
    let names = Names::answering(&["127.0.0.2 127.0.0.1 10.0.0.1"]);
    let report = Sender::resolving(guarded(), &names).report(get(&at(&peer, "peer.test")));
    assert!(matches!(report.outcome, Outcome::Response(_)), "{report:?}");
    assert_eq!(report.remote, Some(peer.address()));
    assert!(!private.was_visited());
}

#[test]
fn a_public_address_that_does_not_answer_is_no_reason_to_try_a_private_one() {
    let mut url = Peer::refusing();
    let private = TcpListener::bind(("127.0.0.2", url.port().unwrap())).unwrap();
    private.set_nonblocking(true).unwrap();
    let names = Names::answering(&["127.0.0.1 127.0.0.2"]);
    url.set_host(Some("peer.test")).unwrap();
    assert_eq!(Sender::resolving(guarded(), &names).failure(get(&url)).class, FailureClass::Connect);
    assert!(private.accept().is_err());
}

#[test]
fn a_name_that_changes_after_it_was_checked_is_not_asked_again() {
    let peer = Peer::answering(OK);
    let private = Private::beside(&peer);
    let names = Names::answering(&["127.0.0.1", "127.0.0.2"]);
    let report = Sender::resolving(guarded(), &names).report(get(&at(&peer, "peer.test")));
    assert_eq!(report.remote, Some(peer.address()));
    assert_eq!(names.asked().len(), 1);
    assert!(!private.was_visited());
}

#[test]
fn a_name_that_changes_between_attempts_is_judged_anew() {
    let once = || {
        Peer::scripted(|mut conn| async move {
            conn.request().await;
            conn.send(b"HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
        })
    };
    let peer = once();
    let private = Private::beside(&peer);
    let names = Names::answering(&["127.0.0.1", "127.0.0.2", "127.0.0.1"]);
    let sender = Sender::resolving(guarded(), &names);
    let url = at(&peer, "peer.test");
    assert_eq!(sender.response(post(&url, "x")).head.status, 503);
    assert_eq!(sender.failure(post(&url, "x")).class, FailureClass::Blocked);
    assert_eq!(sender.response(post(&url, "x")).head.status, 503);
    assert!(!private.was_visited());
}

#[test]
fn the_machines_own_public_address_is_blocked_by_name_and_as_it_is() {
    let names = Names::answering(&["192.0.3.1"]);
    names.give("192.0.3.1");
    let sender = Sender::resolving(guarded(), &names);
    for url in ["http://me.test/", "http://192.0.3.1/", "https://[::ffff:c000:301]/"] {
        let (class, message) = sender.refusal(get(&Url::parse(url).unwrap()));
        assert_eq!((class, message.as_str()), (FailureClass::Blocked, BLOCKED), "{url}");
    }
}

#[test]
fn a_redirect_to_where_calls_may_not_go_is_blocked() {
    for location in ["http://127.0.0.2/", "http://0x7f.2/", "http://[::ffff:7f00:2]/", "http://metadata.test/latest"] {
        let peer = Peer::answering(format!("HTTP/1.1 307 Go\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"));
        let mut attempt = get(&at(&peer, "peer.test"));
        attempt.route.redirects = 3;
        let failure =
            Sender::resolving(guarded(), &Names::answering(&["127.0.0.1", "169.254.169.254"])).failure(attempt);
        assert_eq!(failure.class, FailureClass::Blocked, "{location}");
        assert_eq!(failure.message, format!("after a redirect: {BLOCKED}"));
        assert_eq!(failure.head, None);
    }
}

#[test]
fn a_denied_host_is_blocked_by_name_whatever_its_address() {
    let peer = Peer::answering(OK);
    let names = Names::answering(&["127.0.0.1"]);
    let sender = Sender::resolving(unguarded("bad.test", "bad.test, *.bad.test, 127.0.0.1"), &names);
    for host in ["bad.test", "BAD.test.", "a.bad.test", "127.0.0.1", "127.1"] {
        let (class, message) = sender.refusal(get(&at(&peer, host)));
        assert_eq!((class, message.as_str()), (FailureClass::Blocked, "the host is denied"), "{host}");
    }
    assert!(names.asked().is_empty() && peer.notes().is_empty());
    assert_eq!(sender.response(get(&at(&peer, "good.test"))).body, "ok");
}

#[test]
fn an_allowed_host_may_have_any_address() {
    let names = Names::answering(&["127.0.0.2"]);
    let sender = Sender::resolving(unguarded("*.intern.test", ""), &names);
    let private = TcpListener::bind("127.0.0.2:0").unwrap();
    let port = private.local_addr().unwrap().port();
    sender.engine.send(get(&Url::parse(&format!("http://a.intern.test:{port}/")).unwrap()));
    let _held = private.accept().unwrap();
    let other = Url::parse(&format!("http://other.test:{port}/")).unwrap();
    assert_eq!(sender.failure(numbered(2, get(&other))).class, FailureClass::Blocked);
}

#[test]
fn new_settings_hold_for_hosts_that_are_connected_already() {
    let peer = Peer::answering(OK);
    let sender = Sender::with(guarded());
    assert_eq!(sender.response(get(&peer.url())).body, "ok");
    sender.engine.reconfigure(Settings { guard: Guard::default(), ..settings() });
    assert_eq!(sender.failure(get(&peer.url())).class, FailureClass::Blocked);
    sender.engine.reconfigure(guarded());
    assert_eq!(sender.response(get(&peer.url())).body, "ok");
    assert_eq!(sender.failure(get(&at(&peer, "127.0.0.2"))).class, FailureClass::Blocked);
}

#[test]
fn the_administrator_is_told_the_address_and_not_every_time() {
    let names = Names::answering(&["10.1.2.3"]);
    let sender = Sender::resolving(guarded(), &names);
    for _ in 0..5 {
        sender.refusal(get(&Url::parse("http://intern.test/path?secret").unwrap()));
    }
    let mut lines = Vec::new();
    eventually("a line is logged", || {
        sender.engine.drain_log(&mut lines);
        !lines.is_empty()
    });
    assert_eq!(lines.len(), 1);
    assert_eq!(
        lines[0].message,
        "a call to intern.test, which is at 10.1.2.3, is refused (private use); pg_edge.allowed_networks could allow it"
    );
}

#[test]
fn a_name_server_that_does_not_answer_runs_into_the_connect_limit() {
    let mut attempt = get(&Url::parse("http://peer.test/").unwrap());
    attempt.limits.connect = Duration::from_millis(80);
    let (class, message) = Sender::resolving(guarded(), &Names::answering(&[])).refusal(attempt);
    assert_eq!(class, FailureClass::ConnectTimeout);
    assert_eq!(message, "no connection within 80 ms: the name was not resolved");
}
