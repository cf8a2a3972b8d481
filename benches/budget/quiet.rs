//! A server with nothing to do, and one that is told to stop.

use std::time::{Duration, Instant};

use super::harness::{Db, Peer, Reply, eventually};
use super::report::{Budget, Report};
use super::scale;
use super::world::{World, settings};

/// The rows of this file.
pub const IDLE: &str = "idle";
pub const STOP: &str = "stop";

const HANGING: usize = 500;

/// Transaction ids and transactions that an idle server uses.
pub async fn idle(report: &mut Report) {
    let world = World::start(settings()).await;
    // A session reports its last transactions ten seconds late.
    tokio::time::sleep(Duration::from_secs(12)).await;
    // A look from another database does not count as a transaction of this one.
    let observer = world.cluster.connect_as("postgres", "template1").await;
    let began = used(&observer).await;
    let span = scale::span(Duration::from_secs(60));
    tokio::time::sleep(span).await;
    let ended = used(&observer).await;
    let what = |what: &str| format!("{what} in {} s of idleness", span.as_secs());
    report.row(IDLE, what("transaction ids"), "xids", ended.0 - began.0, 0.0, Budget::Within);
    report.row(IDLE, what("transactions"), "transactions", ended.1 - began.1, 0.0, Budget::Within);
}

/// How many transaction ids and transactions a database has used so far.
pub async fn used(observer: &Db) -> (f64, f64) {
    let ids = observer.one("select pg_snapshot_xmax(pg_current_snapshot())::text::float8").await;
    let transactions = "select (xact_commit + xact_rollback)::float8 from pg_stat_database where datname = 'postgres'";
    (ids, observer.one(transactions).await)
}

/// Stopping the server while calls hang.
pub async fn stop(report: &mut Report) {
    let places = settings().setting("pg_edge.max_in_flight", &(2 * HANGING).to_string());
    let mut world = World::start(places.setting("pg_edge.max_concurrency_per_endpoint", &HANGING.to_string())).await;
    let other = Peer::start().await;
    other.on("/hang", Reply::hang());
    let hang = other.url("/hang");
    let queue =
        format!("select edge.http_post_async('{hang}', timeout => '10 min') from generate_series(1, {HANGING})");
    world.db.exec(&queue).await;
    let hangs = || async { other.open_connections() >= HANGING };
    eventually("all calls hang", Duration::from_secs(30), hangs).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    world.cluster.pg_ctl(&["stop", "-m", "fast", "-w"]);
    let took = began.elapsed().as_secs_f64();
    let what = format!("pg_ctl stop -m fast with {HANGING} hanging calls in flight");
    report.row(STOP, what, "s", took, 2.0, Budget::Within);
}
