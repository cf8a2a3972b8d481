//! Starting, waking and stopping.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pg_edge::domain::call::CallId;
use pg_edge::engine::{Engine, Settings, StartError, descriptor_budget};
use url::Url;

use super::peer::Peer;
use super::sender::{PATIENCE, Sender, eventually, get, numbered, settings};

#[test]
fn settings_that_make_no_client_refuse_the_start_with_a_reason() {
    let refused = Engine::start(Settings { user_agent: "two\nlines".to_owned(), ..settings() }, || ());
    assert!(matches!(refused, Err(StartError::Client(_))));
}

#[test]
fn a_stop_lets_go_of_hanging_calls_after_its_grace() {
    let (peer, sender) = (Peer::silent(), Sender::new());
    for call in 0..50 {
        sender.engine.send(numbered(call, get(&peer.url())));
    }
    eventually("the requests arrive", || peer.notes().len() == 50);
    let began = Instant::now();
    let mut stopped = sender.engine.stop(Duration::from_millis(100));
    // Far more than it takes, and far less than the calls' own limits.
    assert!(began.elapsed() < PATIENCE / 2);
    stopped.abandoned.sort();
    assert!(stopped.abandoned.into_iter().eq((0..50).map(CallId)));
    eventually("the connections are closed", || peer.noted("closed") == 50);
}

#[test]
fn a_stop_waits_for_calls_that_end_within_its_grace_and_no_longer() {
    let (open, gate) = tokio::sync::watch::channel(false);
    let peer = Peer::scripted(move |mut conn| {
        let mut gate = gate.clone();
        async move {
            conn.request().await;
            gate.wait_for(|open| *open).await.unwrap();
            conn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    let sender = Sender::new();
    sender.engine.send(get(&peer.url()));
    eventually("the request arrives", || !peer.notes().is_empty());
    let opener = std::thread::spawn(move || open.send(true));
    let began = Instant::now();
    let stopped = sender.engine.stop(Duration::from_secs(60));
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_eq!((stopped.reports.len(), stopped.abandoned.len()), (1, 0));
    opener.join().unwrap().unwrap();
}

#[test]
fn an_idle_engine_stops_at_once() {
    let began = Instant::now();
    Sender::new().engine.stop(Duration::from_secs(60));
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_dropped_engine_closes_its_connections() {
    let (peer, sender) = (Peer::silent(), Sender::new());
    sender.engine.send(get(&peer.url()));
    eventually("the request arrives", || !peer.notes().is_empty());
    drop(sender);
    eventually("the connection is closed", || peer.noted("closed") == 1);
}

#[test]
fn a_dead_engine_says_so_and_wakes() {
    let wakes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&wakes);
    let wake = move || {
        // The first wake is for a report; a panic in it is the one thing known to kill the engine thread.
        assert!(counted.fetch_add(1, Ordering::SeqCst) > 0, "the test kills the engine");
    };
    let engine = Engine::start(settings(), wake).unwrap();
    assert!(engine.is_alive());
    let peer = Peer::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    engine.send(get(&peer.url()));
    eventually("the engine is dead", || !engine.is_alive());
    eventually("the death rings", || wakes.load(Ordering::SeqCst) > 1);
    engine.send(get(&peer.url()));
    engine.stop(Duration::from_secs(60));
}

#[test]
fn a_burst_costs_few_wakes() {
    let peer = Peer::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let sender = Sender::new();
    for call in 0..200 {
        sender.engine.send(numbered(call, get(&peer.url())));
    }
    eventually("all have ended", || sender.engine.in_flight() == 0);
    // Nothing was drained in between, so the first wake stands for all.
    sender.wakes.recv().unwrap();
    assert!(sender.wakes.try_recv().is_err());
    let mut reports = Vec::new();
    sender.engine.drain(&mut Vec::new(), &mut reports);
    assert_eq!(reports.len(), 200);
}

#[test]
fn the_descriptor_budget_leaves_the_reserve_and_room_for_idle_connections() {
    let url = Url::parse("http://nobody.invalid/").unwrap();
    super::child::run("lifecycle::compares_descriptor_budgets", &url, &[]);
}

/// In a process of its own: tests beside this one open and close descriptors by the thousand.
#[test]
#[ignore = "is the child process of another test"]
fn compares_descriptor_budgets() {
    let (all, less) = (descriptor_budget(0), descriptor_budget(200));
    assert!(less < all || all <= 100, "{less} {all}");
}
