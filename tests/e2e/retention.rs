//! Finished calls vanish a slot at a time, by TRUNCATE; unfinished ones are carried along.

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, Gate, Reply, eventually};
use crate::scene::{Scene, ended, reaches};

/// The shortest: a slot every seventh of a second.
async fn scene() -> Scene {
    Scene::on(Cluster::builder().setting("pg_edge.retention", "1s").setting("autovacuum", "off")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_calls_vanish_without_a_dead_row() {
    let scene = scene().await;
    let files =
        "select string_agg(relfilenode::text, ',' order by relname) from pg_class where relname like 'response\\__'";
    let before: String = scene.db.one(files).await;
    for _ in 0..20 {
        let id = scene.get("/").await;
        ended(&scene.db, id).await;
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
    let scene = scene().await;
    let gate = Gate::closed();
    scene.peer.on("/gated", Reply::gate(&gate));
    scene.peer.sequence("/later", [Reply::status(503).header("retry-after", "5"), Reply::status(200)]);
    let other = crate::harness::Peer::start().await;
    other.on("/gated", Reply::gate(&gate));
    let flying = crate::scene::get(&scene.db, &other.url("/gated")).await;
    let delayed = scene.call("edge.http_get_async($1, run_at => clock_timestamp() + interval '6 s')", "/delayed").await;
    let retrying = scene.get("/later").await;
    reaches(&scene.db, retrying, "retrying").await;
    other.wait_for(1).await;
    turns(&scene, 12).await;
    for (id, state) in [(flying, "running"), (delayed, "pending"), (retrying, "retrying")] {
        assert_eq!(scene.db.one_with::<Option<String>>("select edge.status($1)", &[&id]).await.as_deref(), Some(state));
    }
    gate.open();
    for id in [flying, delayed, retrying] {
        assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    }
    emptied(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_queued_while_paused_outlive_the_ring() {
    let scene = scene().await;
    scene.db.exec("select edge.pause()").await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(scene.get("/").await);
    }
    turns(&scene, 12).await;
    scene.db.exec("select edge.resume()").await;
    for id in ids {
        assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_somebody_reads_is_left_alone_and_stops_nothing() {
    let scene = scene().await;
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
