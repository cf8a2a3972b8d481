//! No call can keep a database from coming up: one that was interrupted too often is given up.

use crate::faults::{SOON, all_ended, dispatcher, holds, queue_one, successor, with};
use crate::harness::{Gate, Peer, Reply, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_interrupted_too_often_is_failed_with_that_reason() {
    let (cluster, db) = with(&[("pg_edge.max_interruptions", "3"), ("pg_edge.shutdown_grace", "0")]).await;
    let peer = Peer::start().await;
    peer.on("/", Reply::hang());
    let call = queue_one(&db, &peer.url("/")).await;
    for round in 1..=3 {
        eventually("the call hangs", SOON, || async { peer.count("/") == round }).await;
        let worker = dispatcher(&cluster, "postgres").await;
        db.exec(&format!("select pg_terminate_backend({worker})")).await;
        successor(&cluster, "dispatcher", "postgres", worker).await;
    }
    all_ended(&cluster, "postgres").await;
    let rows = db.rows(&format!("select state, error_class, error, attempts from edge.calls where id = {call}")).await;
    let (state, class, error): (String, String, String) = (rows[0].get(0), rows[0].get(1), rows[0].get(2));
    assert_eq!((state.as_str(), class.as_str(), rows[0].get::<_, i32>(3)), ("failed", "interrupted", 3));
    assert!(error.contains("3 of 3"), "{error}");
    let tries: Vec<i32> =
        db.column(&format!("select attempt from edge.attempts where call_id = {call} order by attempt")).await;
    assert!(tries.starts_with(&[1, 2]), "{tries:?}");
    assert_eq!(peer.count("/"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_kills_its_dispatcher_each_time_is_given_up() {
    let (cluster, db) = with(&[("pg_edge.max_interruptions", "2")]).await;
    let peer = Peer::start().await;
    // The first answer comes when the session has heard that the call is queued: the server takes it along when it goes down.
    let gate = Gate::closed();
    peer.sequence("/", [Reply::gate(&gate), Reply::status(204)]);
    // Its lease need not be on disk when it is sent. After a crash it must be, or nobody would ever count.
    dispatcher(&cluster, "postgres").await;
    cluster.fail_at("before_response_commit", "kill;kill;kill");
    let call = queue_one(&db, &peer.url("/")).await;
    gate.open();
    let given_up = format!(
        "select exists (select from edge.calls where id = {call} and state = 'failed' and error_class = 'interrupted')"
    );
    eventually("the call is given up", SOON, || holds(&cluster, "postgres", &given_up)).await;
}
