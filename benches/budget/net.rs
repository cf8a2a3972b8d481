//! Requests of pg_edge_net, from their commit until each has its row in `net._http_response`.

use std::time::{Duration, Instant};

use super::numbers::{median, rate};
use super::report::{Budget, Report};
use super::scale;
use super::world::{World, body, settings};

/// The row of this file.
pub const NET: &str = "net-drain";

/// The longest that one round may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Measures it, beside calls of `edge` on the same server.
pub async fn measure(report: &mut Report) {
    let world = World::start(settings()).await;
    world.db.exec("create extension pg_edge_net").await;
    let calls = scale::size(10_000);
    world.drain(calls).await;
    drain(&world, calls).await;
    let (mut ours, mut limit, mut queueing) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..scale::rounds(7) {
        limit.push(rate(calls, world.drain(calls).await));
        let (queued, stored) = drain(&world, calls).await;
        queueing.push(rate(calls, queued));
        ours.push(rate(calls, stored));
    }
    let what = format!(
        "{calls} net.http_post, rows in net._http_response (queued at {:.0}/s); edge.http_post_async",
        median(&queueing)
    );
    report.row(NET, what, "calls/s", median(&ours), median(&limit), Budget::AtLeast(0.2));
}

/// How long it takes to make so many requests in one transaction, and from its commit until all responses are there.
async fn drain(world: &World, calls: usize) -> (Duration, Duration) {
    let url = world.peer.url("/hook");
    let stored = "select count(*) from net._http_response";
    world.db.exec("truncate net._http_response").await;
    let began = Instant::now();
    let sql = format!("select count(net.http_post('{url}', '{}')) from generate_series(1, {calls})", body());
    world.db.exec("begin").await;
    world.db.exec(&sql).await;
    let queued = began.elapsed();
    let began = Instant::now();
    world.db.exec("commit").await;
    while world.db.one::<i64>(stored).await < calls as i64 {
        assert!(began.elapsed() < PATIENCE, "not every response was stored");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (queued, began.elapsed())
}
