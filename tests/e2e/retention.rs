//! Finished calls vanish a slot at a time, by TRUNCATE; unfinished ones are carried along.

use std::time::Duration;

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, ClusterBuilder, Gate, Reply, eventually};
use crate::scene::{Scene, call, ended, get, reaches};

const RETENTION: &str = "pg_edge.retention";

/// The shortest: a slot every seventh of a second. Who looks for a call that has ended may come too late.
fn short() -> ClusterBuilder {
    Cluster::builder().setting(RETENTION, "1s").setting("autovacuum", "off")
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_calls_vanish_without_a_dead_row() {
    let scene = Scene::on(short()).await;
    let files =
        "select string_agg(relfilenode::text, ',' order by relname) from pg_class where relname like 'response\\__'";
    let before: String = scene.db.one(files).await;
    for number in 1..=20 {
        scene.get("/").await;
        scene.peer.wait_for(number).await;
    }
    emptied(&scene).await;
    assert_ne!(scene.db.one::<String>(files).await, before, "no slot was truncated");
    let deleted = "select coalesce(sum(n_tup_del + n_tup_upd), 0)::bigint from pg_stat_user_tables
                   where relname ~ '^(request|response)_'";
    assert_eq!(scene.db.one::<i64>(deleted).await, 0, "rows were deleted one by one");
    for table in ["response", "attempt", "replay", "callback_error", "late", "deferred"] {
        assert_eq!(scene.db.one::<i64>(&format!("select count(*) from edge_store.{table}")).await, 0, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_calls_are_carried_along_and_end_with_their_result() {
    let scene = Scene::on(short().own_clock()).await;
    let gate = Gate::closed();
    scene.peer.sequence("/later", [Reply::status(503).header("retry-after", "3600"), Reply::status(200)]);
    let other = crate::harness::Peer::start().await;
    other.on("/gated", Reply::gate(&gate)).on("/told", Reply::status(200)).on("/wakes", Reply::status(200));
    let flying = call(&scene.db, "edge.http_get_async($1, timeout => '10 min')", &other.url("/gated")).await;
    let delayed = "edge.http_get_async($1, run_at => clock_timestamp() + interval '1 hour')";
    let delayed = scene.call(delayed, "/delayed").await;
    let retrying = scene.get("/later").await;
    reaches(&scene.db, retrying, "retrying").await;
    other.wait_for(1).await;
    turns(&scene, 12).await;
    for (id, state) in [(flying, "running"), (delayed, "pending"), (retrying, "retrying")] {
        assert_eq!(scene.db.one_with::<Option<String>>("select edge.status($1)", &[&id]).await.as_deref(), Some(state));
    }
    // What ends from here on is kept until somebody has looked: a call that is sent after the setting has changed is followed by
    // no turn that does not know of it.
    scene.cluster.set(RETENTION, "7d").await;
    get(&scene.db, &other.url("/told")).await;
    other.wait_for_path("/told", 1).await;
    gate.open();
    scene.cluster.clock().step_forward(Duration::from_secs(2 * 3_600));
    get(&scene.db, &other.url("/wakes")).await;
    for id in [flying, delayed, retrying] {
        assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    }
    scene.cluster.set(RETENTION, "1s").await;
    emptied(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_queued_while_paused_outlive_the_ring() {
    let scene = Scene::on(short()).await;
    scene.db.exec("select edge.pause()").await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(scene.get("/").await);
    }
    turns(&scene, 12).await;
    // What ends from here on is kept until somebody has looked.
    scene.cluster.set(RETENTION, "7d").await;
    scene.db.exec("select edge.resume()").await;
    for id in ids {
        assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_somebody_reads_is_left_alone_and_stops_nothing() {
    let scene = Scene::on(short()).await;
    let reader = scene.cluster.connect().await;
    reader.exec("begin; select count(*) from edge_store.request").await;
    let slot = "select current_slot::int from edge_store.ring";
    let stuck: i32 = eventually("the ring stands still", SERVER_DEADLINE, || async {
        let seen: i32 = scene.db.one(slot).await;
        let id = scene.get("/").await;
        ended(&scene.db, id).await;
        Some(seen).filter(|seen| *seen == scene.cluster.psql(slot).parse::<i32>().unwrap())
    })
    .await;
    for _ in 0..10 {
        let id = scene.get("/").await;
        assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    }
    assert_eq!(scene.db.one::<i32>(slot).await, stuck);
    let errors: Option<String> = scene.db.one("select last_error from edge.worker_status()").await;
    assert_eq!(errors, None);
    reader.exec("commit").await;
    emptied(&scene).await;
}

/// Waits until the ring has moved on so often, which is more than once around for eight.
async fn turns(scene: &Scene, n: usize) {
    for _ in 0..n {
        let before: String = scene.db.one("select advanced_at::text from edge_store.ring").await;
        eventually("the ring moves on", SERVER_DEADLINE, || async {
            scene.db.one::<String>("select advanced_at::text from edge_store.ring").await != before
        })
        .await;
    }
}

async fn emptied(scene: &Scene) {
    eventually("all finished calls are gone", SERVER_DEADLINE, || async {
        scene.db.one::<i64>("select count(*) from edge.calls").await == 0
    })
    .await;
}
