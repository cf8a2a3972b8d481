//! Calls to a healthy endpoint while a thousand calls to another one hang.

use std::time::Duration;

use super::harness::{Gate, Peer, Reply, eventually};
use super::numbers::{median, micros, percentile};
use super::report::{Budget, Report};
use super::scale;
use super::world::{World, settings};

const NAME: &str = "hanging-endpoint";

/// The rows of this file.
pub const ROWS: [&str; 1] = [NAME];

/// Calls that hang.
const HANGING: usize = 1_000;

/// Measures the row.
pub async fn measure(report: &mut Report) {
    // The defaults: 64 calls at once to one endpoint, 256 in all.
    let defaults = settings().setting("pg_edge.max_in_flight", "256");
    let world = World::start(defaults.setting("pg_edge.max_concurrency_per_endpoint", "64")).await;
    let other = Peer::start().await;
    let (url, calls) = (world.peer.url("/hook"), scale::size(2_000));
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..scale::rounds(5) {
        limit.push(p99(&world, &url, calls).await);
        let gate = Gate::closed();
        other.on("/hang", Reply::gate(&gate));
        let hang = other.url("/hang");
        let queue =
            format!("select edge.http_post_async('{hang}', timeout => '10 min') from generate_series(1, {HANGING})");
        world.db.exec(&queue).await;
        eventually("an endpoint hangs", Duration::from_secs(30), || async { other.in_flight() >= 64 }).await;
        // Long enough for what waits behind them to be put aside.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        ours.push(p99(&world, &url, calls).await);
        gate.open();
        eventually("the endpoint recovers", Duration::from_secs(60), || async {
            world.db.one::<bool>("select queue_depth = 0 from edge.worker_status()").await
        })
        .await;
        other.forget();
    }
    let what = format!("p99 of {calls} calls one by one while {HANGING} others hang; the same without");
    report.row(NAME, what, "us", median(&ours), median(&limit), Budget::AtMost(1.1));
}

async fn p99(world: &World, url: &str, calls: usize) -> f64 {
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        times.push(micros(world.call(url).await));
    }
    percentile(&times, 0.99)
}
