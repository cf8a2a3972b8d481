//! Killed, or failing, exactly at each border between memory, disk and wire.

use std::time::Duration;

use crate::faults::{
    SOON, all_ended, assert_none_lost, assert_sent_once, deliveries, dispatcher, holds, queue, queue_one, ready,
    successor,
};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, Gate, Peer, Reply, Stop, eventually};
use crate::scene::{Scene, ended};

const CALLS: usize = 40;

/// Queues calls, lets the dispatcher pass `point` once, and waits until all have ended. Gives the peer, which
/// answers once the fault has come and gone.
async fn struck(point: &str, action: &str) -> (Cluster, Peer, std::collections::BTreeSet<i64>) {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    peer.on("/", Reply::delay(Duration::from_millis(20)));
    let worker = dispatcher(&cluster, "postgres").await;
    db.exec("select edge.pause()").await;
    let calls = queue(&db, &peer.url("/"), CALLS).await;
    cluster.fail_at(point, action);
    // It has an effect before this session is told so, and the server may go down in between.
    let _told = db.try_exec("select edge.resume()").await;
    drop(db);
    eventually("the fault has struck", SOON, || async { !cluster.failpoint_is_armed() }).await;
    successor(&cluster, "dispatcher", "postgres", worker).await;
    all_ended(&cluster, "postgres").await;
    assert!(holds(&cluster, "postgres", "select bool_and(state = 'succeeded') from edge.calls").await);
    (cluster, peer, calls)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_lease_and_sending_sends_each_call_once() {
    let (_cluster, peer, calls) = struck("after_lease_commit", "kill").await;
    assert_sent_once(&peer, &calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_between_lease_and_sending_sends_each_call_once() {
    let (_cluster, peer, calls) = struck("after_lease_commit", "error").await;
    assert_sent_once(&peer, &calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_after_sending_loses_nothing() {
    let (_cluster, peer, calls) = struck("after_send", "kill").await;
    assert_none_lost(&peer, &calls, CALLS);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_after_sending_loses_nothing() {
    let (_cluster, peer, calls) = struck("after_send", "error").await;
    assert_none_lost(&peer, &calls, CALLS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_before_the_answer_is_committed_loses_nothing() {
    let (_cluster, peer, calls) = struck("before_response_commit", "kill").await;
    assert_none_lost(&peer, &calls, CALLS);
    assert!(deliveries(&peer).values().any(|times| *times == 2), "an answer that was not committed is asked for again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_commit_and_wake_loses_nothing() {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    peer.on("/", Reply::status(204));
    let worker = dispatcher(&cluster, "postgres").await;
    cluster.fail_at("before_wake", "kill");
    let queued = db.client().query(&format!("select edge.http_post_async('{}')", peer.url("/")), &[]).await;
    assert!(queued.is_err(), "the session died after its commit");
    successor(&cluster, "dispatcher", "postgres", worker).await;
    peer.wait_for(1).await;
    all_ended(&cluster, "postgres").await;
    // A dispatcher that happens to look just then may have sent it before the server went down.
    assert_eq!(deliveries(&peer).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_on_the_way_out_loses_nothing() {
    let (mut cluster, db) = ready().await;
    let peer = Peer::start().await;
    let gate = Gate::closed();
    peer.on("/", Reply::gate(&gate));
    let mut calls = queue(&db, &peer.url("/"), CALLS).await;
    eventually("calls hang", SOON, || async { peer.in_flight() == CALLS }).await;
    cluster.fail_at("before_exit", "kill");
    drop(db);
    cluster.stop(Stop::Fast);
    assert!(!cluster.failpoint_is_armed());
    gate.open();
    cluster.start_again();
    all_ended(&cluster, "postgres").await;
    assert_none_lost(&peer, &calls, CALLS);
    let db = cluster.connect().await;
    let next = queue_one(&db, &peer.url("/")).await;
    assert!(calls.insert(next) && calls.last() == Some(&next), "ids are never reused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_lease_could_not_be_written_is_not_sent_during_a_pause() {
    let scene = Scene::start().await;
    scene.pause().await;
    let id = scene.get("/held").await;
    scene.cluster.fail_at("before_lease_commit", &["error"; 100].join(";"));
    scene.db.exec("select edge.resume()").await;
    eventually("it failed once", SERVER_DEADLINE, || async {
        scene.cluster.log().contains("failpoint before_lease_commit")
    })
    .await;
    scene.db.exec("select edge.pause()").await;
    let put_off = format!("select exists (select from edge_store.deferred where call_id = {id})");
    eventually("it is put off", SERVER_DEADLINE, || scene.db.one::<bool>(&put_off)).await;
    assert!(scene.cluster.failpoint_is_armed(), "it was to be sent until it could be");
    assert_eq!(scene.peer.count("/held"), 0);
    scene.cluster.disarm();
    scene.db.exec("select edge.resume()").await;
    ended(&scene.db, id).await;
    assert_eq!(scene.peer.count("/held"), 1);
}
