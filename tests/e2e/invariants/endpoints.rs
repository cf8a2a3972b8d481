//! No slow or dead endpoint delays another, and none has its calls sent twice for being slow.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use crate::faults::{SOON, all_ended, assert_sent_once, deliveries, id_of, queue, ready, states, with};
use crate::harness::{Gate, Peer, Reply, eventually};

/// Queues `hanging` calls to one endpoint, then some to another, which must all be answered meanwhile; lets the first
/// go, and looks that each of them came once.
async fn others_are_served_while_so_many_hang(hanging: usize) {
    // None that hangs is given up and tried again meanwhile.
    let (cluster, db) = with(&[("pg_edge.request_timeout", "1h")]).await;
    let (cluster, db) = (&cluster, &db);
    let (slow, healthy) = (Peer::start().await, Peer::start().await);
    let gate = Gate::closed();
    slow.on("/", Reply::gate(&gate));
    healthy.on("/", Reply::status(204));
    let hung = queue(db, &slow.url("/"), hanging).await;
    eventually("the slow endpoint is full", SOON, || async { slow.in_flight() >= 64 }).await;
    for _ in 0..3 {
        let served = queue(db, &healthy.url("/"), 50).await;
        for id in &served {
            let state: String = db.one(&format!("select (edge.wait({id}, '60 s')).state")).await;
            assert_eq!(state, "succeeded", "a healthy endpoint waits for one that hangs");
        }
    }
    assert_eq!(slow.count("/"), slow.in_flight(), "the slow endpoint has answered nothing yet");
    gate.open();
    all_ended(cluster, "postgres").await;
    assert_sent_once(&slow, &hung);
    assert_eq!(states(db).await.len(), 1, "all succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_hanging_calls_delay_no_other_endpoint() {
    others_are_served_while_so_many_hang(1_200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_hanging_calls_than_fit_into_memory_delay_no_other_endpoint() {
    others_are_served_while_so_many_hang(6_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_hanging_endpoints_leave_room_for_one_that_works() {
    let (_cluster, db) = ready().await;
    let mut hanging = Vec::new();
    for _ in 0..8 {
        let peer = Peer::start().await;
        peer.on("/", Reply::hang());
        queue(&db, &peer.url("/"), 200).await;
        hanging.push(peer);
    }
    eventually("every one of them hangs", SOON, || async { hanging.iter().all(|peer| peer.in_flight() > 0) }).await;
    let healthy = Peer::start().await;
    healthy.on("/", Reply::status(204));
    for id in queue(&db, &healthy.url("/"), 20).await {
        let state: String = db.one(&format!("select (edge.wait({id}, '60 s')).state")).await;
        assert_eq!(state, "succeeded");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_endpoint_is_sent_each_call_once() {
    let (cluster, db) = with(&[("pg_edge.max_concurrency_per_endpoint", "16")]).await;
    let peer = Peer::start().await;
    let gate = Gate::closed();
    peer.on("/", Reply::delay(Duration::from_millis(400)).behind(&gate));
    let calls = queue(&db, &peer.url("/"), 250).await;
    eventually("it has as many as it may have", SOON, || async { peer.in_flight() == 16 }).await;
    gate.open();
    all_ended(&cluster, "postgres").await;
    assert_sent_once(&peer, &calls);
    assert_eq!(peer.most_in_flight(), 16);
    let last_error: Option<String> = db.one("select last_error from edge.worker_status()").await;
    assert_eq!(last_error, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_that_come_due_among_waiting_calls_are_sent_once() {
    // However many of those that fail are answered in a row.
    let settings = [("pg_edge.max_concurrency_per_endpoint", "16"), ("pg_edge.breaker_failures", "0")];
    let (cluster, db) = with(&settings).await;
    let peer = Peer::start().await;
    let seen = Mutex::new(BTreeSet::new());
    peer.answer("/", move |request| {
        // The first try of every fourth call fails, so retries come due all along.
        let id = id_of(request);
        let first = seen.lock().expect("no script panics").insert(id);
        let status = if first && id % 4 == 0 { 503 } else { 200 };
        Reply::status(status).after(Duration::from_millis(150))
    });
    let calls = queue(&db, &peer.url("/"), 300).await;
    all_ended(&cluster, "postgres").await;
    let sent = deliveries(&peer);
    for id in &calls {
        assert_eq!(sent.get(id).copied(), Some(if id % 4 == 0 { 2 } else { 1 }), "call {id}");
    }
    assert_eq!(states(&db).await.get("succeeded"), Some(&300));
}
