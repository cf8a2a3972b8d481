//! What a call leaves behind: WAL, and dead rows.

use std::time::{Duration, Instant};

use super::numbers::median;
use super::report::{Budget, Report};
use super::scale;
use super::world::{World, settings};

const WAL: &str = "wal";
const DEAD_HOT: &str = "dead-tuples-calls";
const DEAD_REST: &str = "dead-tuples-batches";

/// The rows of this file.
pub const ROWS: [&str; 3] = [WAL, DEAD_HOT, DEAD_REST];

/// Measures all rows.
pub async fn measure(report: &mut Report) {
    let world = World::start(settings()).await;
    let began_at = Instant::now();
    let calls = scale::size(50_000);
    world.db.exec("create table plain_request (like edge_store.request, primary key (id))").await;
    world.db.exec("create table plain_response (like edge_store.response, primary key (call_id))").await;
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..scale::rounds(3) {
        let last: i64 = world.db.one("select last_value from edge_store.call_id").await;
        // Both sides begin without pages that were not changed since a checkpoint: those would be written whole.
        world.db.exec("checkpoint").await;
        let began = written(&world).await;
        world.drain(calls).await;
        ours.push((written(&world).await - began) / calls as f64);
        world.db.exec("checkpoint").await;
        let began = written(&world).await;
        // The very rows, in the order in which they were stored.
        world.db.exec(&format!("insert into plain_request select * from edge_store.request where id > {last}")).await;
        world
            .db
            .exec(&format!("insert into plain_response select * from edge_store.response where call_id > {last}"))
            .await;
        limit.push((written(&world).await - began) / calls as f64);
    }
    let what =
        "a call of 512 bytes that succeeds at once; its request and response row, plain, a statement each for all";
    report.row(WAL, what, "bytes/call", median(&ours), median(&limit), Budget::AtMost(1.15));
    dead_tuples(report, &world, began_at).await;
}

async fn written(world: &World) -> f64 {
    world.db.one("select (pg_current_wal_insert_lsn() - '0/0')::float8").await
}

/// All updates and deletes since the cluster began; there was no vacuum to hide any.
async fn dead_tuples(report: &mut Report, world: &World, began_at: Instant) {
    // The dispatcher reports its counters once a second, and when it goes idle.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let killed = |tables: &str| {
        format!(
            "select coalesce(sum(n_tup_upd + n_tup_del), 0)::float8 from pg_stat_all_tables
             where schemaname = 'edge_store' and relname ~ '{tables}'"
        )
    };
    let hot: f64 = world.db.one(&killed("^(request|response)")).await;
    let rest: f64 = world.db.one(&killed("^(?!request|response)")).await;
    let batches: f64 = world.db.one("select max(batch)::float8 from edge_store.lease").await;
    let per_table: Vec<String> = world
        .db
        .column(
            "select relname || ' ' || n_tup_upd + n_tup_del from pg_stat_all_tables
             where schemaname = 'edge_store' and n_tup_upd + n_tup_del > 0",
        )
        .await;
    report.row(DEAD_HOT, "rows of request and response", "dead rows", hot, 0.0, Budget::Within);
    // The endpoint's usage is written once a second.
    let seconds = began_at.elapsed().as_secs_f64().ceil();
    let what = format!("other tables; batches and seconds. {}", per_table.join(", "));
    report.row(DEAD_REST, what, "dead rows", rest, batches + seconds, Budget::AtMost(1.0));
}
