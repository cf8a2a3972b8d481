//! A superuser who locks, empties or rewrites the tables of the extension, and users' own locks.

use crate::faults::{SOON, all_ended, assert_sent_once, dispatcher, find_worker, queue, queue_one, ready, successor};
use crate::harness::{Cluster, Gate, Peer, Reply, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_delays_calls_and_neither_kills_the_dispatcher_nor_loses_any() {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    let gate = Gate::closed();
    peer.on("/", Reply::gate(&gate));
    let calls = queue(&db, &peer.url("/"), 30).await;
    eventually("calls hang", SOON, || async { peer.in_flight() == 30 }).await;
    let worker = dispatcher(&cluster, "postgres").await;
    db.exec("begin; lock table edge_store.response, edge_store.lease, edge_store.deferred").await;
    gate.open();
    let other = cluster.connect().await;
    let waits = format!("select count(*) > 0 from pg_locks where not granted and pid = {worker}");
    eventually("the dispatcher waits for the lock", SOON, || other.one::<bool>(&waits)).await;
    // Its lock_timeout ends the turn more than once.
    eventually("it has given up and waits again", SOON, || async {
        cluster.log().matches("lock timeout").count() >= 2
    })
    .await;
    db.exec("rollback").await;
    all_ended(&cluster, "postgres").await;
    assert_sent_once(&peer, &calls);
    assert_eq!(find_worker(&cluster, "dispatcher", "postgres").await, Some(worker));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispatcher_that_starts_under_a_lock_begins_as_soon_as_it_goes() {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    peer.on("/", Reply::status(204));
    let worker = dispatcher(&cluster, "postgres").await;
    db.exec("begin; lock table edge_store.lease").await;
    cluster.connect().await.exec(&format!("select pg_terminate_backend({worker})")).await;
    let next = successor(&cluster, "dispatcher", "postgres", worker).await;
    eventually("it has tried to begin", SOON, || async { cluster.log().contains("cannot take over") }).await;
    db.exec("rollback").await;
    let call = queue_one(&db, &peer.url("/")).await;
    assert_eq!(db.one::<String>(&format!("select (edge.wait({call}, '60 s')).state")).await, "succeeded");
    assert_eq!(dispatcher(&cluster, "postgres").await, next, "it waited and did not start anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn emptied_and_rewritten_tables_stop_nothing() {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    let gate = Gate::closed();
    peer.on("/", Reply::gate(&gate)).on("/ok", Reply::status(204));
    let tables =
        ["request", "response", "attempt", "deferred", "lease", "late", "cancellation", "idempotency", "callback"];
    let worker = dispatcher(&cluster, "postgres").await;
    for command in ["vacuum full", "reindex table", "truncate"] {
        for table in tables {
            gate.close();
            queue(&db, &peer.url("/"), 10).await;
            eventually("calls hang", SOON, || async { peer.in_flight() == 10 }).await;
            db.exec(&format!("{command} edge_store.{table}")).await;
            gate.open();
            let call = queue_one(&db, &peer.url("/ok")).await;
            let state: String = db.one(&format!("select (edge.wait({call}, '60 s')).state")).await;
            assert_eq!(state, "succeeded", "after {command} {table}");
            eventually("the calls have come back", SOON, || async { peer.in_flight() == 0 }).await;
        }
    }
    assert_eq!(find_worker(&cluster, "dispatcher", "postgres").await, Some(worker));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_advisory_lock_of_a_user_blocks_the_dispatcher() {
    let cluster = Cluster::start();
    let user = cluster.connect().await;
    // Every form SQL has, with the numbers that the dispatcher's own lock is made of.
    user.exec(
        "select pg_advisory_lock(1701078885), pg_advisory_lock(1701078885, 0), pg_advisory_lock(1701078885::bigint << 32),
                pg_advisory_lock(oid::bigint), pg_advisory_lock(oid::int, 1701078885) from pg_database",
    )
    .await;
    let db = cluster.create_extension("postgres").await;
    let peer = Peer::start().await;
    peer.on("/", Reply::status(204));
    let calls = queue(&db, &peer.url("/"), 5).await;
    all_ended(&cluster, "postgres").await;
    assert_sent_once(&peer, &calls);
}
