//! CREATE EXTENSION and DROP EXTENSION, in one database and in several.

use std::time::Duration;

use crate::faults::{SOON, all_ended, assert_sent_once, dispatcher, find_worker, queue, queue_one, ready};
use crate::harness::{Cluster, Peer, Reply, Stop, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn several_databases_are_served_at_once_and_found_after_a_restart() {
    let mut cluster = Cluster::start();
    let peer = Peer::start().await;
    peer.otherwise(|_| Reply::status(204));
    let names = ["one", "two", "three"];
    for name in names {
        cluster.create_database(name).await;
    }
    let (one, two, three) = tokio::join!(
        cluster.create_extension("one"),
        cluster.create_extension("two"),
        cluster.create_extension("three")
    );
    for round in 1..=2 {
        for name in names {
            let db = cluster.connect_as("postgres", name).await;
            queue(&db, &peer.url(&format!("/{name}")), 20).await;
        }
        for name in names {
            all_ended(&cluster, name).await;
            assert_eq!(peer.count(&format!("/{name}")), 20 * round);
        }
        if round == 1 {
            cluster.restart(Stop::Fast);
        }
    }
    drop((one, two, three));
}

#[tokio::test(flavor = "multi_thread")]
async fn create_extension_starts_a_dispatcher_at_once() {
    let cluster = Cluster::start();
    // Past its start, the launcher sleeps until it is told.
    eventually("no database has a dispatcher", SOON, || async {
        let quiet = "select count(*) = 0 from pg_stat_activity where backend_type = 'pg_edge dispatcher'";
        cluster.connect().await.one::<bool>(quiet).await
    })
    .await;
    let db = cluster.create_extension("postgres").await;
    // Polling would take the launcher up to a minute.
    eventually("it has one now", Duration::from_secs(30), || find_worker(&cluster, "dispatcher", "postgres")).await;
    db.exec("drop extension pg_edge").await;
    eventually("it has none now", Duration::from_secs(30), || async {
        find_worker(&cluster, "dispatcher", "postgres").await.is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolled_back_create_or_drop_changes_nothing() {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    peer.on("/", Reply::status(204));
    let mut calls = queue(&db, &peer.url("/"), 5).await;
    all_ended(&cluster, "postgres").await;
    db.exec("begin; drop extension pg_edge").await;
    db.exec("rollback").await;
    calls.extend(queue(&db, &peer.url("/"), 5).await);
    all_ended(&cluster, "postgres").await;
    assert_sent_once(&peer, &calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_extension_can_be_dropped_and_created_under_load() {
    let (_cluster, db) = ready().await;
    let (hanging, peer) = (Peer::start().await, Peer::start().await);
    hanging.on("/", Reply::hang());
    peer.on("/", Reply::status(204));
    for round in 1..=3 {
        queue(&db, &hanging.url("/"), 200).await;
        eventually("calls hang", SOON, || async { hanging.in_flight() > 0 }).await;
        queue(&db, &peer.url("/"), 200).await;
        db.exec("drop extension pg_edge").await;
        eventually("its connections are closed", SOON, || async { hanging.in_flight() == 0 }).await;
        db.exec("create extension pg_edge").await;
        let marker = peer.url(&format!("/round{round}"));
        peer.on(&format!("/round{round}"), Reply::status(204));
        let call = queue_one(&db, &marker).await;
        assert_eq!(db.one::<String>(&format!("select (edge.wait({call}, '60 s')).state")).await, "succeeded");
    }
    assert_eq!(db.one::<i64>("select count(*) from edge_store.request").await, 1, "a new extension begins empty");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_outlives_the_extension_can_use_the_next_one() {
    let (_cluster, db) = ready().await;
    let peer = Peer::start().await;
    peer.on("/", Reply::status(204));
    let queue = format!("select edge.http_get_async('{}', on_complete => 'seen'::regproc)", peer.url("/"));
    db.exec("create table heard (id bigint)").await;
    for _ in 0..2 {
        db.exec("create function seen(r edge.response) returns void language sql as 'insert into heard values (r.id)'")
            .await;
        let call: i64 = db.one(&queue).await;
        let heard = format!("select exists (select from heard where id = {call})");
        eventually("the callback ran", SOON, || db.one::<bool>(&heard)).await;
        db.exec("drop extension pg_edge cascade; create extension pg_edge; truncate heard").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispatcher_ended_while_it_starts_harms_nobody() {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    peer.on("/", Reply::status(204));
    let postmaster = cluster.postmaster_pid();
    for _ in 0..5 {
        let worker = dispatcher(&cluster, "postgres").await;
        db.exec(&format!("select pg_terminate_backend({worker})")).await;
        // The next ones are ended as soon as they show, mostly before they have begun.
        db.exec(
            "do $$ begin
                 for i in 1..50 loop
                     perform pg_terminate_backend(pid), pg_sleep(0.002) from pg_stat_activity
                     where backend_type = 'pg_edge dispatcher';
                     perform pg_stat_clear_snapshot();
                 end loop;
             end $$",
        )
        .await;
        db.exec("create extension if not exists pg_edge").await;
    }
    let calls = queue(&db, &peer.url("/"), 20).await;
    all_ended(&cluster, "postgres").await;
    assert_sent_once(&peer, &calls);
    assert_eq!(cluster.postmaster_pid(), postmaster);
    assert!(!cluster.log().contains("terminated by signal"), "{}", cluster.log_tail(20));
}
