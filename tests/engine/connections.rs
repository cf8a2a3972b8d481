//! Reuse and closing of connections, as the peer sees it.

use pg_edge::domain::call::CallId;
use pg_edge::domain::outcome::{FailureClass, Outcome};
use pg_edge::engine::Settings;
use tokio::io::AsyncWriteExt;

use super::peer::Peer;
use super::sender::{Sender, eventually, get, numbered, post, settings};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Notes the number of the connection on which each request comes.
fn numbering() -> Peer {
    Peer::scripted(|mut conn| async move {
        while conn.request().await.is_some() {
            conn.note(&format!("on {}", conn.index));
            conn.send(OK).await;
        }
        conn.note("closed");
    })
}

#[test]
fn one_connection_serves_one_call_after_another() {
    let (peer, sender) = (numbering(), Sender::new());
    for _ in 0..5 {
        sender.response(post(&peer.url(), "again"));
    }
    assert_eq!(peer.noted("on 0"), 5);
}

#[test]
fn a_connection_the_peer_closed_while_idle_does_not_fail_the_next_call() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.request().await;
        conn.send(OK).await;
        drop(conn.stream.shutdown().await);
        conn.until_closed().await;
    });
    let sender = Sender::new();
    for turn in 1..=5 {
        sender.response(get(&peer.url()));
        eventually("the engine lets go of the closed connection", || peer.noted("closed") == turn);
    }
}

#[test]
fn many_calls_at_once_are_each_reported_once() {
    // Both ends of each connection are this process's, and an ordinary user's process has 1,024 descriptors.
    const CALLS: i64 = 200;
    let (peer, sender) = (numbering(), Sender::new());
    for call in 0..CALLS {
        sender.engine.send(numbered(call, post(&peer.url(), "x")));
    }
    let reports = sender.reports(CALLS as usize);
    let mut calls: Vec<_> = reports.iter().map(|report| report.call.0).collect();
    calls.sort_unstable();
    assert!(calls.into_iter().eq(0..CALLS));
    assert!(reports.iter().all(|report| matches!(report.outcome, Outcome::Response(_))));
    assert_eq!(sender.engine.in_flight(), 0);
}

#[test]
fn a_cancelled_call_is_reported_and_its_connection_closed() {
    let (peer, sender) = (Peer::silent(), Sender::new());
    sender.engine.send(numbered(7, get(&peer.url())));
    eventually("the request arrives", || !peer.notes().is_empty());
    sender.engine.cancel(CallId(7));
    let report = sender.reports(1).remove(0);
    assert_eq!(report.call, CallId(7));
    assert!(matches!(report.outcome, Outcome::Failure(failure) if failure.class == FailureClass::Cancelled));
    eventually("the connection is closed", || peer.noted("closed") == 1);
    assert_eq!(sender.engine.in_flight(), 0);
}

#[test]
fn cancelling_a_call_that_has_ended_or_never_was_does_nothing() {
    let (peer, sender) = (numbering(), Sender::new());
    sender.response(numbered(1, get(&peer.url())));
    sender.engine.cancel(CallId(1));
    sender.engine.cancel(CallId(99));
    sender.response(numbered(2, get(&peer.url())));
}

#[test]
fn a_call_cancelled_as_soon_as_it_was_sent_is_reported_once() {
    let (peer, sender) = (Peer::silent(), Sender::new());
    for call in 0..100 {
        sender.engine.send(numbered(call, get(&peer.url())));
        sender.engine.cancel(CallId(call));
    }
    assert_eq!(sender.reports(100).len(), 100);
}

#[test]
fn new_settings_hold_for_the_next_call_and_running_ones_go_on() {
    let sender = Sender::new();
    let held = Peer::silent();
    let peer = numbering();
    sender.engine.send(numbered(1, get(&held.url())));
    eventually("the request arrives", || !held.notes().is_empty());
    sender.engine.reconfigure(Settings { user_agent: "renamed".to_owned(), ..settings() });
    sender.response(numbered(2, get(&peer.url())));
    assert!(peer.notes()[0].contains("user-agent: renamed"));
    assert_eq!(sender.engine.in_flight(), 1);
}

#[test]
fn settings_that_cannot_be_used_are_logged_and_the_old_ones_stay() {
    let (peer, sender) = (numbering(), Sender::new());
    sender.engine.reconfigure(Settings { user_agent: "two\nlines".to_owned(), ..settings() });
    let mut lines = Vec::new();
    eventually("a line is logged", || {
        sender.engine.drain_log(&mut lines);
        !lines.is_empty()
    });
    assert!(lines[0].message.starts_with("the engine keeps its former settings: "), "{lines:?}");
    sender.response(get(&peer.url()));
    assert!(peer.notes()[0].contains("user-agent: pg_edge-test"));
}

#[test]
fn calls_to_a_hanging_peer_do_not_hold_up_calls_to_another() {
    let (hanging, healthy, sender) = (Peer::silent(), numbering(), Sender::new());
    for call in 0..200 {
        sender.engine.send(numbered(call, get(&hanging.url())));
    }
    sender.response(numbered(1_000, get(&healthy.url())));
    assert_eq!(sender.engine.in_flight(), 200);
}
