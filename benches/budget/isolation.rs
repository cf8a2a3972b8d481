//! Calls to a healthy endpoint while calls to another one hang, and beside a dead, a slow and a flapping one.

use std::time::Duration;

use super::harness::{Gate, Peer, Reply, eventually};
use super::numbers::{median, micros, percentile};
use super::report::{Budget, Report};
use super::scale;
use super::world::{World, settings};

const HANGING_ENDPOINT: &str = "hanging-endpoint";
const SICK_ENDPOINTS: &str = "sick-endpoints";

/// The rows of this file.
pub const ROWS: [&str; 2] = [HANGING_ENDPOINT, SICK_ENDPOINTS];

/// Calls that hang.
const HANGING: usize = 1_000;

/// Measures the rows.
pub async fn measure(report: &mut Report, wants: &impl Fn(&[&str]) -> bool) {
    if wants(&[HANGING_ENDPOINT]) {
        beside_a_hanging_one(report).await;
    }
    if wants(&[SICK_ENDPOINTS]) {
        beside_sick_ones(report).await;
    }
}

/// Every second round has calls to a port where nobody listens, to a peer that answers after about a second, and to one that fails
/// every other time: as many as keep all three busy for the round.
async fn beside_sick_ones(report: &mut Report) {
    let defaults = settings().setting("pg_edge.max_in_flight", "256");
    let world = World::start(defaults.setting("pg_edge.max_concurrency_per_endpoint", "64")).await;
    let (slow, flapping) = (Peer::start().await, Peer::start().await);
    let turn = std::sync::atomic::AtomicU64::new(0);
    // Not all at the same moment.
    slow.answer("/", move |_| {
        let nth = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Reply::delay(Duration::from_millis(750 + nth * 37 % 500))
    });
    flapping.sequence("/", (0..100_000).map(|n| Reply::status(if n % 2 == 0 { 500 } else { 200 })));
    let dead = format!("http://{}/", Peer::refusing_address().await);
    let (url, calls) = (world.peer.url("/hook"), scale::size(2_000));
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..scale::rounds(5) {
        limit.push(p99(&world, &url, calls).await);
        for sick in [&dead, &slow.url("/"), &flapping.url("/")] {
            world.db.exec(&format!("select edge.http_post_async('{sick}') from generate_series(1, 500)")).await;
        }
        eventually("the slow one is busy", Duration::from_secs(30), || async { slow.in_flight() >= 64 }).await;
        ours.push(p99(&world, &url, calls).await);
        let cancel = "select edge.cancel(id) from edge.calls where state in ('pending', 'running', 'retrying')";
        eventually("the sick ones' calls are gone", Duration::from_secs(60), || async {
            world.db.exec(cancel).await;
            world.db.one::<bool>("select queue_depth = 0 from edge.worker_status()").await
        })
        .await;
    }
    let what =
        format!("p99 of {calls} calls one by one beside a dead, a slow and a flapping endpoint; the same without");
    report.row(SICK_ENDPOINTS, what, "us", median(&ours), median(&limit), Budget::AtMost(1.1));
}

async fn beside_a_hanging_one(report: &mut Report) {
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
    report.row(HANGING_ENDPOINT, what, "us", median(&ours), median(&limit), Budget::AtMost(1.1));
}

async fn p99(world: &World, url: &str, calls: usize) -> f64 {
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        times.push(micros(world.call(url).await));
    }
    percentile(&times, 0.99)
}
