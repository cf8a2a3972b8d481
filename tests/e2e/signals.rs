//! Signals in masses, to single threads and to whole processes, while calls run; and the one that changes settings.

use std::time::Duration;

use crate::faults::{SOON, all_ended, assert_sent_once, dispatcher, find_worker, queue, ready, with};
use crate::harness::process::{Signal, send, send_to_thread, threads};
use crate::harness::{Gate, Peer, Reply, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn storms_against_single_engine_threads_harm_nobody() {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    peer.on("/", Reply::delay(Duration::from_millis(5)));
    let worker = dispatcher(&cluster, "postgres").await;
    let postmaster = cluster.postmaster_pid();
    let storm = [
        Signal::SIGHUP,
        Signal::SIGUSR1,
        Signal::SIGTERM,
        Signal::SIGURG,
        Signal::SIGALRM,
        Signal::SIGINT,
        Signal::SIGUSR2,
        Signal::SIGCHLD,
    ];
    // A name, so that the resolver's threads are there too.
    let calls = queue(&db, &peer.url("/").replace("127.0.0.1", "localhost"), 1_000).await;
    eventually("calls run", SOON, || async { peer.count("/") > 0 }).await;
    let mut hit = 0;
    while peer.count("/") < 1_000 || hit < 5_000 {
        for thread in &threads(worker)[1..] {
            for signal in storm {
                send_to_thread(worker, *thread, signal);
                hit += 1;
            }
        }
        tokio::task::yield_now().await;
    }
    all_ended(&cluster, "postgres").await;
    assert_sent_once(&peer, &calls);
    assert_eq!(find_worker(&cluster, "dispatcher", "postgres").await, Some(worker), "none of it was for the process");
    assert_eq!(cluster.postmaster_pid(), postmaster);
    assert!(!cluster.log().contains("terminated by signal"), "{}", cluster.log_tail(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn storms_against_the_processes_harm_nobody() {
    let (cluster, db) = ready().await;
    let peer = Peer::start().await;
    peer.on("/", Reply::delay(Duration::from_millis(5)));
    let worker = dispatcher(&cluster, "postgres").await;
    let launcher = eventually("a launcher runs", SOON, || find_worker(&cluster, "launcher", "")).await;
    let calls = queue(&db, &peer.url("/"), 1_000).await;
    let mut hit = 0;
    while peer.count("/") < 1_000 || hit < 3_000 {
        for signal in [Signal::SIGUSR1, Signal::SIGURG, Signal::SIGALRM] {
            send(worker, signal);
            send(launcher, signal);
            hit += 1;
        }
        // Each of these makes the workers read the configuration, which would be all they do.
        if hit % 300 == 0 {
            send(worker, Signal::SIGHUP);
            send(launcher, Signal::SIGHUP);
        }
        // Paced by the server itself: a storm that leaves it no time to work proves nothing.
        db.exec("select").await;
    }
    all_ended(&cluster, "postgres").await;
    assert_sent_once(&peer, &calls);
    assert_eq!(find_worker(&cluster, "dispatcher", "postgres").await, Some(worker));
    assert_eq!(find_worker(&cluster, "launcher", "").await, Some(launcher));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_what_may_be_on_the_wire() {
    let (cluster, db) = with(&[("pg_edge.max_concurrency_per_endpoint", "3")]).await;
    let peer = Peer::start().await;
    let gate = Gate::closed();
    peer.on("/", Reply::gate(&gate));
    let calls = queue(&db, &peer.url("/"), 40).await;
    eventually("three calls are on the wire", SOON, || async { peer.in_flight() == 3 }).await;
    cluster.set("pg_edge.max_concurrency_per_endpoint", "7").await;
    eventually("seven calls are on the wire", SOON, || async { peer.in_flight() == 7 }).await;
    gate.open();
    all_ended(&cluster, "postgres").await;
    assert_eq!(peer.most_in_flight(), 7);
    assert_sent_once(&peer, &calls);
    assert_eq!(db.one::<i64>("select count(*) from edge.calls where state = 'succeeded'").await, 40);
}
