//! Standbys, promotion, dump and restore.

use crate::faults::{SOON, all_ended, assert_none_lost, deliveries, dispatcher, queue, queue_one, with};
use crate::harness::{Gate, Peer, Reply, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_sends_what_was_replicated() {
    // None is given up and tried again while others take their time.
    let (mut primary, db) = with(&[("pg_edge.request_timeout", "1h")]).await;
    let peer = Peer::start().await;
    let gate = Gate::closed();
    peer.on("/", Reply::gate(&gate));
    queue_one(&db, &peer.url("/")).await;
    let mut standby = primary.basebackup_standby();
    let calls = queue(&db, &peer.url("/"), 300).await;
    eventually("calls hang", SOON, || async { peer.in_flight() == 64 }).await;
    standby.catch_up_with(&primary).await;
    let follower = standby.connect().await;
    let workers: i64 = follower.one("select count(*) from pg_stat_activity where backend_type like 'pg_edge%'").await;
    assert_eq!(workers, 0, "nothing runs on a standby");
    let read: String = follower.one(&format!("select edge.status({})", calls.first().expect("calls"))).await;
    assert!(["running", "pending"].contains(&read.as_str()), "{read}");
    assert_eq!(follower.fails(&format!("select edge.http_get_async('{}')", peer.url("/"))).await.sqlstate, "25006");
    drop((db, follower));
    primary.kill_postmaster();
    let sent_before = deliveries(&peer).len();
    assert!(sent_before <= 64, "nobody but the primary has sent");
    standby.promote();
    gate.open();
    dispatcher(&standby, "postgres").await;
    all_ended(&standby, "postgres").await;
    assert_none_lost(&peer, &calls, 64);
    let db = standby.connect().await;
    let next = queue_one(&db, &peer.url("/")).await;
    assert!(Some(&next) > calls.last(), "ids are never reused");
    assert_eq!(db.one::<String>(&format!("select (edge.wait({next}, '60 s')).state")).await, "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_restores_a_working_extension_without_the_old_queue() {
    let (cluster, db) = with(&[("pg_edge.request_timeout", "1h")]).await;
    let peer = Peer::start().await;
    let gate = Gate::closed();
    peer.on("/", Reply::gate(&gate)).on("/ok", Reply::status(204));
    queue(&db, &peer.url("/"), 10).await;
    peer.wait_for_path("/", 10).await;
    db.exec("create table users_own as select 42 as n").await;
    let dump = cluster.data_dir().join("dump.sql");
    let mut pg_dump = crate::harness::programs::server_program("pg_dump");
    pg_dump.args(["--username=postgres", "--dbname=postgres", "--host"]).arg(cluster.socket_dir());
    crate::harness::programs::run(pg_dump.arg("--file").arg(&dump));
    cluster.create_database("restored").await;
    let mut psql = cluster.psql_command();
    crate::harness::programs::run(psql.args(["--quiet", "--dbname=restored", "--file"]).arg(&dump));
    let restored = cluster.connect_as("postgres", "restored").await;
    assert_eq!(restored.one::<i32>("select n from users_own").await, 42);
    assert_eq!(restored.one::<i64>("select count(*) from edge.calls").await, 0);
    let call = queue_one(&restored, &peer.url("/ok")).await;
    assert_eq!(restored.one::<String>(&format!("select (edge.wait({call}, '60 s')).state")).await, "succeeded");
    assert_eq!(peer.count("/"), 10, "no call of the old queue was sent again");
    let names = "select database_id::text from edge_store.control";
    assert_ne!(restored.one::<String>(names).await, db.one::<String>(names).await);
}
