//! Streams over HTTP/2, where many share one connection.

use std::time::{Duration, Instant};

use pg_edge::domain::attempt::Attempt;
use pg_edge::domain::call::CallId;
use pg_edge::domain::outcome::FailureClass;
use pg_edge::domain::stream::follower::Ended;
use pg_edge::engine::{OldestTls, Settings, TlsSettings};

use super::listener::{Listener, streaming};
use super::sender::{Sender, eventually, get, numbered, settings};
use super::tls_peer::{Authority, TlsOptions, TlsPeer};

fn sender(authority: &Authority) -> Sender {
    let tls = TlsSettings { ca_file: Some(authority.file().to_owned()), oldest: OldestTls::V1_2 };
    Sender::with(Settings { tls, ..settings() })
}

fn at(peer: &TlsPeer, path: &str) -> Attempt {
    let mut url = peer.url.clone();
    url.set_path(path);
    streaming(&url)
}

#[test]
fn events_come_over_http2_as_they_do_over_http1() {
    let authority = Authority::new();
    let peer = TlsPeer::start(&authority, &TlsOptions::default());
    let told = Listener::hear(&sender(&authority), at(&peer, "/events"));
    assert_eq!((told.ended(), told.events.len()), (&Ended::Complete, 3));
    assert!(told.events.iter().enumerate().all(|(number, event)| event.data.starts_with(&number.to_string())));
}

#[test]
fn streams_that_stand_still_do_not_hold_up_calls_on_the_same_connection() {
    const STREAMS: i64 = 6;
    let authority = Authority::new();
    let peer = TlsPeer::start(&authority, &TlsOptions { at_once: 100, ..TlsOptions::default() });
    let sender = sender(&authority);
    // Makes the connections that all others then share, one for bodies and one for streams.
    sender.response(get(&peer.url));
    Listener::hear(&sender, at(&peer, "/events"));
    let mut listener = Listener::new(&sender);
    listener.kept = Some(Vec::new());
    for call in 1..=STREAMS {
        sender.engine.send(numbered(call, at(&peer, "/flood")));
    }
    let (mut last, mut since) = (0, Instant::now());
    eventually("the peer stands still", || {
        listener.until("whatever has come", |_| true);
        let now = peer.noted("event");
        if now != last {
            (last, since) = (now, Instant::now());
        }
        last > 0 && since.elapsed() > Duration::from_millis(700)
    });
    assert!(last < 60_000, "{last} kB were sent to readers that stand still");
    sender.engine.send(numbered(100, get(&peer.url)));
    sender.engine.send(numbered(101, at(&peer, "/events")));
    listener.until("the answers of neighbours", |listener| listener.ended() == 2);
    assert_eq!(listener.told[&CallId(101)].events.len(), 3);
    assert_eq!(peer.handshakes(), 2);
    for call in 1..=STREAMS {
        sender.engine.cancel(CallId(call));
    }
    listener.until("the ends", |listener| listener.ended() == 2 + STREAMS as usize);
    assert_eq!(listener.told[&CallId(1)].failure().class, FailureClass::Cancelled);
}
