//! A call is sent if and only if its transaction committed.

use std::collections::BTreeSet;

use crate::faults::{all_ended, assert_sent_once, queue, queue_one, ready};
use crate::harness::{Peer, Reply};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_sent_only_if_its_transaction_and_savepoint_commit() {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    peer.on("/", Reply::status(204));
    let url = peer.url("/");
    db.exec("begin").await;
    queue(&db, &url, 20).await;
    db.exec("rollback").await;
    db.exec("begin").await;
    let mut kept = BTreeSet::from([queue_one(&db, &url).await]);
    db.exec("savepoint undone").await;
    queue(&db, &url, 20).await;
    db.exec("rollback to undone").await;
    kept.insert(queue_one(&db, &url).await);
    db.exec("savepoint released").await;
    kept.insert(queue_one(&db, &url).await);
    db.exec("release released; commit").await;
    let caught = "do $$ begin
                      perform edge.http_post_async(current_setting('test.url'));
                      raise exception 'undo this block';
                  exception when raise_exception then null;
                  end $$";
    db.exec(&format!("set test.url = '{url}'; {caught}")).await;
    db.fails(&format!("select edge.http_post_async('{url}'), 1 / (n - 3) from generate_series(1, 5) n")).await;
    kept.insert(queue_one(&db, &url).await);
    all_ended(&cluster, "postgres").await;
    assert_sent_once(&peer, &kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_while_its_transaction_is_open() {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    peer.on("/", Reply::status(204));
    db.exec("begin").await;
    let mut calls = queue(&db, &peer.url("/"), 5).await;
    // Another session's later calls go out, so the dispatcher has looked past the open ones.
    let other = cluster.connect().await;
    let later = queue(&other, &peer.url("/"), 5).await;
    for id in &later {
        let state: String = other.one(&format!("select (edge.wait({id}, '60 s')).state")).await;
        assert_eq!(state, "succeeded");
    }
    assert_sent_once(&peer, &later);
    db.exec("commit").await;
    calls.extend(later);
    all_ended(&cluster, "postgres").await;
    assert_sent_once(&peer, &calls);
}
