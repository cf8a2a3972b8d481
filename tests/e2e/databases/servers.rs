//! Servers that are not set up for the extension, or have too little room.

use crate::faults::{SOON, all_ended, assert_sent_once, dispatcher, queue};
use crate::harness::{Cluster, Peer, Reply, Stop, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn create_extension_without_preloading_says_which_line_to_add() {
    let cluster = Cluster::builder().setting("shared_preload_libraries", "").start();
    let error = cluster.connect().await.fails("create extension pg_edge").await;
    let text = error.to_string();
    assert!(text.contains("shared_preload_libraries = 'pg_edge'"), "{text}");
    assert_eq!(error.sqlstate, "55000", "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_the_extension_stays_quiet() {
    // An autovacuum worker would take transaction ids of its own.
    let mut cluster = Cluster::builder().setting("autovacuum", "off").start();
    cluster.stop(Stop::Fast);
    // Whoever was at work when it stopped has said so.
    let written = cluster.log().len();
    cluster.start_again();
    let db = cluster.connect().await;
    let workers = "select string_agg(backend_type, ',') = 'pg_edge launcher'
                   from pg_stat_activity where backend_type like 'pg_edge%'";
    eventually("only the launcher is left", SOON, || async { db.one::<Option<bool>>(workers).await == Some(true) })
        .await;
    let xid = "select pg_snapshot_xmax(pg_current_snapshot())::text";
    let before: String = db.one(xid).await;
    db.exec("select pg_sleep(1.5)").await;
    assert_eq!(db.one::<String>(xid).await, before);
    assert_eq!(db.one::<Option<bool>>(workers).await, Some(true));
    let log = cluster.log().split_off(written);
    for level in ["WARNING:", "ERROR:", "FATAL:", "PANIC:"] {
        assert!(!log.contains(level), "{}", cluster.log_tail(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_worker_processes_give_a_warning_and_are_made_up_for() {
    // One for Postgres' own logical replication launcher, one for ours, one dispatcher.
    let cluster = Cluster::builder().setting("max_worker_processes", "3").start();
    let peer = Peer::start().await;
    peer.on("/", Reply::status(204));
    cluster.create_database("second").await;
    let first = cluster.create_extension("postgres").await;
    dispatcher(&cluster, "postgres").await;
    let second = cluster.create_extension("second").await;
    let calls = queue(&second, &peer.url("/"), 5).await;
    eventually("the log names the setting to raise", SOON, || async {
        cluster.log().contains("raise max_worker_processes")
    })
    .await;
    assert_eq!(peer.count("/"), 0);
    first.exec("drop extension pg_edge").await;
    all_ended(&cluster, "second").await;
    assert_sent_once(&peer, &calls);
}
