//! Stopping the server in every way while calls hang, and running short of file descriptors.

use std::time::{Duration, Instant};

use crate::faults::{SOON, all_ended, assert_none_lost, assert_sent_once, queue, with};
use crate::harness::{Cluster, Gate, Peer, Reply, Stop, eventually};

/// The real figure is about a second and is measured by the benchmarks.
const GENEROUS: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_stop_is_quick_with_hundreds_of_hanging_calls_and_loses_none() {
    let wide = [("pg_edge.max_in_flight", "600"), ("pg_edge.max_concurrency_per_endpoint", "250")];
    let (mut cluster, db) = with(&wide).await;
    let peer = Peer::start().await;
    let gate = Gate::closed();
    peer.on("/", Reply::gate(&gate));
    let calls = queue(&db, &peer.url("/"), 500).await;
    drop(db);
    for mode in [Stop::Fast, Stop::Smart, Stop::Immediate] {
        eventually("calls hang", SOON, || async { peer.in_flight() >= 200 }).await;
        let began = Instant::now();
        cluster.stop(mode);
        assert!(began.elapsed() < GENEROUS, "{mode:?} took {:?}", began.elapsed());
        eventually("the connections are closed", SOON, || async { peer.in_flight() == 0 }).await;
        cluster.start_again();
    }
    gate.open();
    all_ended(&cluster, "postgres").await;
    assert_none_lost(&peer, &calls, 3 * 250);
    let db = cluster.connect().await;
    assert_eq!(db.one::<i64>("select count(*) from edge.calls where state = 'succeeded'").await, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_within_the_grace_is_written() {
    let (mut cluster, db) = with(&[("pg_edge.shutdown_grace", "30s")]).await;
    let peer = Peer::start().await;
    let gate = Gate::closed();
    peer.on("/", Reply::gate(&gate));
    let calls = queue(&db, &peer.url("/"), 50).await;
    eventually("calls hang", SOON, || async { peer.in_flight() == 50 }).await;
    drop(db);
    let opener = async {
        eventually("the server is being stopped", SOON, || async {
            cluster.log().contains("received fast shutdown request")
        })
        .await;
        gate.open();
    };
    cluster_stops(&cluster);
    opener.await;
    eventually("the server is gone", SOON, || async { !cluster.is_running() }).await;
    cluster.start_again();
    all_ended(&cluster, "postgres").await;
    assert_sent_once(&peer, &calls);
    let interrupted: i64 = cluster.connect().await.one("select count(*) from edge.attempts where attempt > 1").await;
    assert_eq!(interrupted, 0);
}

/// Tells the server to stop and does not wait.
fn cluster_stops(cluster: &Cluster) {
    let postmaster = cluster.postmaster_pid().expect("the server runs");
    crate::harness::process::send(postmaster, crate::harness::process::Signal::SIGINT);
}

#[tokio::test(flavor = "multi_thread")]
async fn few_file_descriptors_mean_slow_and_never_a_failed_call() {
    let cluster = Cluster::builder()
        .setting("pg_edge.max_in_flight", "1000")
        .setting("pg_edge.max_concurrency_per_endpoint", "1000")
        .open_files(256)
        .start();
    let db = cluster.create_extension("postgres").await;
    let peer = Peer::start().await;
    peer.on("/", Reply::delay(Duration::from_millis(50)));
    let calls = queue(&db, &peer.url("/"), 500).await;
    all_ended(&cluster, "postgres").await;
    assert_sent_once(&peer, &calls);
    assert!(peer.most_in_flight() < 256);
    let charged: i64 = db.one("select count(*) from edge.calls where attempts <> 1 or state <> 'succeeded'").await;
    assert_eq!(charged, 0);
}
