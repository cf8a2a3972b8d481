//! Transactions that commit late, out of order, in two phases, or not at all.

use std::collections::BTreeSet;

use crate::faults::{SOON, all_ended, assert_sent_once, queue, queue_one, ready};
use crate::harness::{Db, FastPeer, Peer, Reply, eventually};

async fn scene() -> (crate::harness::Cluster, Db, Peer) {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    peer.on("/", Reply::status(204));
    (cluster, db, peer)
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_sessions_that_commit_in_any_order_lose_nothing() {
    let (cluster, db, peer) = scene().await;
    let mut sessions = Vec::new();
    let mut calls = BTreeSet::new();
    for _ in 0..8 {
        sessions.push(cluster.connect().await);
    }
    for order in [[7, 0, 6, 1, 5, 2, 4, 3], [0, 2, 4, 6, 1, 3, 5, 7], [7, 6, 5, 4, 3, 2, 1, 0]] {
        for session in &sessions {
            session.exec("begin").await;
        }
        // Their ids lie between each other's.
        for _ in 0..5 {
            for session in &sessions {
                calls.insert(queue_one(session, &peer.url("/")).await);
            }
        }
        for which in order {
            // One of the eight does not commit.
            if which == 4 {
                let undone = sessions[which]
                    .column::<i64>("select id from edge_store.request where xmin::text::bigint = txid_current()")
                    .await;
                calls.retain(|id| !undone.contains(id));
                sessions[which].exec("rollback").await;
            } else {
                sessions[which].exec("commit").await;
            }
            // Somebody else's call makes the dispatcher look right now.
            let marker = queue_one(&db, &peer.url("/")).await;
            db.exec(&format!("select edge.wait({marker}, '60 s')")).await;
            calls.insert(marker);
        }
        all_ended(&cluster, "postgres").await;
    }
    assert_sent_once(&peer, &calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_call_is_sent_when_it_is_committed_and_never_when_rolled_back() {
    let (cluster, db, peer) = scene().await;
    db.exec("begin").await;
    let kept = queue(&db, &peer.url("/"), 3).await;
    db.exec("prepare transaction 'kept'; begin").await;
    let undone = queue(&db, &peer.url("/"), 3).await;
    db.exec("prepare transaction 'undone'").await;
    let mut sent = queue(&db, &peer.url("/"), 3).await;
    for id in &sent {
        db.exec(&format!("select edge.wait({id}, '60 s')")).await;
    }
    assert_sent_once(&peer, &sent);
    db.exec("rollback prepared 'undone'").await;
    db.exec("commit prepared 'kept'").await;
    sent.extend(kept);
    // Nothing else wakes the dispatcher: it looks by itself as long as ids are missing.
    all_ended(&cluster, "postgres").await;
    assert_sent_once(&peer, &sent);
    assert!(undone.is_disjoint(&sent));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_times_out_queues_nothing_and_disturbs_nobody() {
    let (cluster, db, peer) = scene().await;
    db.exec("begin").await;
    queue(&db, &peer.url("/"), 5).await;
    assert_eq!(db.fails("set local statement_timeout = '50ms'; select pg_sleep(30)").await.sqlstate, "57014");
    db.exec("rollback").await;
    let other = cluster.connect().await;
    other.exec("begin; lock table edge_store.request in access exclusive mode").await;
    let call = format!("select edge.http_get_async('{}')", peer.url("/"));
    for (limit, code) in [("lock_timeout", "55P03"), ("statement_timeout", "57014")] {
        assert_eq!(db.fails(&format!("set {limit} = '50ms'; {call}")).await.sqlstate, code);
        db.exec(&format!("reset {limit}")).await;
    }
    other.exec("rollback").await;
    let sent = queue(&db, &peer.url("/"), 5).await;
    all_ended(&cluster, "postgres").await;
    assert_sent_once(&peer, &sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_calls_of_one_statement_are_all_sent() {
    let (cluster, db) = ready().await;
    let peer = FastPeer::start("{}");
    db.exec(&format!("select edge.http_get_async('{}') from generate_series(1, 100000)", peer.url("/"))).await;
    eventually("all have come", 10 * SOON, || async { peer.count() >= 100_000 }).await;
    all_ended(&cluster, "postgres").await;
    assert_eq!(peer.count(), 100_000);
    assert_eq!(db.one::<i64>("select count(*) from edge_store.response where state = 's'").await, 100_000);
}
