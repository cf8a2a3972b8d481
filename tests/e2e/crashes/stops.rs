//! Workers told to stop, or cancelled, by somebody who may do that.

use crate::faults::{
    SOON, all_ended, assert_none_lost, assert_sent_once, dispatcher, find_worker, queue, ready, successor,
};
use crate::harness::{Gate, Peer, Reply, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_dispatcher_comes_back_and_goes_on() {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    let gate = Gate::closed();
    peer.on("/", Reply::gate(&gate));
    let calls = queue(&db, &peer.url("/"), 200).await;
    eventually("calls hang", SOON, || async { peer.in_flight() == 64 }).await;
    let worker = dispatcher(&cluster, "postgres").await;
    db.exec(&format!("select pg_terminate_backend({worker})")).await;
    successor(&cluster, "dispatcher", "postgres", worker).await;
    gate.open();
    all_ended(&cluster, "postgres").await;
    assert_none_lost(&peer, &calls, 64);
    let interrupted: i64 = db.one("select count(*) from edge.attempts where error_class = 'interrupted'").await;
    assert_eq!(interrupted, 64, "each try that was on the wire is on record");
    let charged: i64 = db.one("select count(*) from edge.calls where state <> 'succeeded'").await;
    assert_eq!(charged, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_launcher_comes_back_and_leaves_dispatchers_alone() {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    peer.on("/", Reply::status(204));
    let worker = dispatcher(&cluster, "postgres").await;
    let launcher = eventually("a launcher runs", SOON, || find_worker(&cluster, "launcher", "")).await;
    db.exec(&format!("select pg_terminate_backend({launcher})")).await;
    successor(&cluster, "launcher", "", launcher).await;
    let mut calls = queue(&db, &peer.url("/"), 20).await;
    all_ended(&cluster, "postgres").await;
    assert_eq!(dispatcher(&cluster, "postgres").await, worker);
    // The new launcher does its work: a dispatcher that ends is replaced.
    db.exec(&format!("select pg_terminate_backend({worker})")).await;
    successor(&cluster, "dispatcher", "postgres", worker).await;
    calls.extend(queue(&db, &peer.url("/"), 20).await);
    all_ended(&cluster, "postgres").await;
    assert_sent_once(&peer, &calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_workers_disturbs_nothing() {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    peer.on("/", Reply::delay(std::time::Duration::from_millis(20)));
    // A worker that is still starting may be cancelled out of it; the launcher then starts another.
    let mut calls = queue(&db, &peer.url("/"), 1).await;
    all_ended(&cluster, "postgres").await;
    let worker = dispatcher(&cluster, "postgres").await;
    let launcher = eventually("a launcher runs", SOON, || find_worker(&cluster, "launcher", "")).await;
    calls.extend(queue(&db, &peer.url("/"), 500).await);
    for _ in 0..100 {
        db.exec(&format!("select pg_cancel_backend({worker}), pg_cancel_backend({launcher})")).await;
    }
    all_ended(&cluster, "postgres").await;
    assert_sent_once(&peer, &calls);
    assert_eq!(dispatcher(&cluster, "postgres").await, worker);
    assert_eq!(find_worker(&cluster, "launcher", "").await, Some(launcher));
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_a_dispatcher_that_waits_to_take_over_disturbs_nothing() {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    queue(&db, &peer.url("/"), 1).await;
    all_ended(&cluster, "postgres").await;
    let first = dispatcher(&cluster, "postgres").await;
    let dropping = cluster.connect().await;
    dropping.exec("begin; drop extension pg_edge").await;
    db.exec(&format!("select pg_terminate_backend({first})")).await;
    let worker = successor(&cluster, "dispatcher", "postgres", first).await;
    let left = format!("select count(*) from pg_stat_activity where pid = {worker} and wait_event_type = 'Extension'");
    eventually("it waits for the lock", SOON, || async { db.one::<i64>(&left).await == 1 }).await;
    for _ in 0..20 {
        db.exec(&format!("select pg_cancel_backend({worker})")).await;
    }
    dropping.exec("rollback").await;
    queue(&db, &peer.url("/"), 1).await;
    all_ended(&cluster, "postgres").await;
    assert_eq!(dispatcher(&cluster, "postgres").await, worker);
}
