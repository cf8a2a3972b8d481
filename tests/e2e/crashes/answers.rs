//! An answer that came is kept through every error of the worker: its call is not made again.

use crate::faults::{SOON, all_ended, assert_sent_once, dispatcher, find_worker, queue, ready, states};
use crate::harness::{Peer, Reply, eventually};

async fn no_answered_call_is_replayed_by(action: &str) {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    peer.on("/", Reply::json(200, &serde_json::json!({"kept": true})));
    let worker = dispatcher(&cluster, "postgres").await;
    cluster.fail_at("before_response_commit", action);
    let calls = queue(&db, &peer.url("/"), 100).await;
    eventually("the fault has struck", SOON, || async { !cluster.failpoint_is_armed() }).await;
    all_ended(&cluster, "postgres").await;
    assert_sent_once(&peer, &calls);
    assert_eq!(states(&db).await.into_iter().collect::<Vec<_>>(), [("succeeded".to_owned(), 100)]);
    let kept: i64 =
        db.one("select count(*) from edge.calls, edge.result(calls.id) as r where r.json = '{\"kept\": true}'").await;
    assert_eq!(kept, 100);
    assert_eq!(find_worker(&cluster, "dispatcher", "postgres").await, Some(worker));
    let said: String = db.one("select last_error from edge.worker_status()").await;
    assert!(!said.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_worker_replays_no_answered_call() {
    no_answered_call_is_replayed_by("error").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_replays_no_answered_call() {
    no_answered_call_is_replayed_by("disk_full").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_stored_ends_its_own_call_only() {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    peer.on("/", Reply::text(200, "fine")).on("/bad", Reply::text(200, "unwelcome"));
    // A superuser's own check, as an example of a row that the server refuses for its content.
    db.exec("alter table edge_store.response add check (body is distinct from 'unwelcome')").await;
    let mut calls = queue(&db, &peer.url("/"), 20).await;
    calls.extend(queue(&db, &peer.url("/bad"), 2).await);
    calls.extend(queue(&db, &peer.url("/"), 20).await);
    all_ended(&cluster, "postgres").await;
    assert_sent_once(&peer, &calls);
    let failed = db.rows("select url, error from edge.calls where state = 'failed'").await;
    assert_eq!(failed.len(), 2);
    for row in failed {
        let (url, error): (String, String) = (row.get(0), row.get(1));
        assert!(url.ends_with("/bad") && error.contains("could not be stored"), "{url}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_stands_already_does_not_stop_the_others() {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    let gate = crate::harness::Gate::closed();
    peer.on("/", Reply::gate(&gate));
    let calls = queue(&db, &peer.url("/"), 10).await;
    eventually("calls hang", SOON, || async { peer.in_flight() == 10 }).await;
    let first = calls.first().expect("ten calls");
    db.exec(&format!(
        "insert into edge_store.response (call_id, slot, state, attempts, finished_at) values ({first}, 0, 's', 7, now())"
    ))
    .await;
    gate.open();
    all_ended(&cluster, "postgres").await;
    assert_eq!(db.one::<i16>(&format!("select attempts from edge_store.response where call_id = {first}")).await, 7);
    let later = queue(&db, &peer.url("/"), 1).await;
    all_ended(&cluster, "postgres").await;
    assert_sent_once(&peer, &calls.union(&later).copied().collect());
}
