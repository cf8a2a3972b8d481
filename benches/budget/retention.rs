//! Retention of what has finished: as fast for a million calls as for ten thousand.

use std::time::Duration;

use super::harness::eventually;
use super::numbers::median;
use super::report::{Budget, Report};
use super::scale;
use super::world::{World, settings};

const TIME: &str = "retention";
const DEAD: &str = "retention-dead-tuples";

/// The rows of this file.
pub const ROWS: [&str; 2] = [TIME, DEAD];

/// Freeing the disk space of larger files takes the file system a little longer.
const CONSTANT: f64 = 3.0;

/// Measures all rows.
pub async fn measure(report: &mut Report) {
    let world = World::start(settings().setting("track_commit_timestamp", "on")).await;
    let (few, many) = (10_000, scale::size(1_000_000));
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..scale::rounds(3) {
        limit.push(retire(&world, few).await);
        ours.push(retire(&world, many).await);
    }
    let what = format!("the transaction that drops {many} finished calls; the one that drops {few}");
    report.row(TIME, what, "ms", median(&ours), median(&limit), Budget::AtMost(CONSTANT));
    let dead = "select sum(n_tup_upd + n_tup_del)::float8 from pg_stat_all_tables
                where schemaname = 'edge_store' and relname ~ '^(request|response|attempt)_'";
    report.row(DEAD, "rows of calls, after all that", "dead rows", world.db.one(dead).await, 0.0, Budget::Within);
}

/// Puts finished calls into the oldest slot, lets the ring move on, and gives the milliseconds that took.
async fn retire(world: &World, calls: usize) -> f64 {
    let db = &world.db;
    let current: i16 = db.one("select current_slot from edge_store.ring").await;
    let oldest = (current + 1) % 8;
    // Ids below all that the dispatcher looks at: these calls are long done.
    db.exec(&format!(
        "insert into edge_store.request (id, queued_at, owner, slot, method, url, headers, body)
         select -n, now() - interval '30 days', 10, {oldest}, 'POST', 'http://127.0.0.1/', null, '{{\"n\": 1}}'
         from generate_series(1, {calls}) as n;
         insert into edge_store.response (call_id, finished_at, slot, status_code, attempts, state, body)
         select -n, now() - interval '30 days', {oldest}, 200, 1, 's', '{{\"n\": 1}}'
         from generate_series(1, {calls}) as n;
         checkpoint"
    ))
    .await;
    // A slot lasts a seventh of the retention: one second, which has passed.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    world.cluster.set("pg_edge.retention", "7s").await;
    let moved = format!(
        "select extract(epoch from pg_xact_commit_timestamp(xmin) - advanced_at)::float8 * 1000
         from edge_store.ring where current_slot <> {current}"
    );
    let took = eventually("the ring moves on", Duration::from_secs(90), || db.maybe::<f64>(&moved)).await;
    world.cluster.set("pg_edge.retention", "7d").await;
    let left: i64 = db.one(&format!("select count(*) from edge_store.request_{oldest} where id < 0")).await;
    assert_eq!(left, 0, "the slot was truncated");
    took
}
