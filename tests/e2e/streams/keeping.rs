//! How long events are kept: as long as their call.

use super::{data, event, held, lands, sse, stream};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, Gate, eventually};
use crate::scene::{Scene, ended, reaches};

/// The shortest: a slot every seventh of a second.
async fn scene() -> Scene {
    Scene::on(Cluster::builder().setting("pg_edge.retention", "1s").setting("autovacuum", "off")).await
}

/// Waits until the ring has moved on so often.
async fn turns(scene: &Scene, times: usize) {
    let slot = "select current_slot::int from edge_store.ring";
    for _ in 0..times {
        let before: i32 = scene.db.one(slot).await;
        eventually("the ring moves on", SERVER_DEADLINE, || async { scene.db.one::<i32>(slot).await != before }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_outlives_the_ring_keeps_all_its_events_until_its_call_goes() {
    let scene = scene().await;
    let gate = Gate::closed();
    scene.peer.on("/", held(3, &gate));
    let id = stream(&scene, "/").await;
    lands(&scene.db, id, 3).await;
    turns(&scene, 12).await;
    assert_eq!(data(&scene.db, id).await, ["before 1", "before 2", "before 3"]);
    reaches(&scene.db, id, "streaming").await;
    gate.open();
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    assert_eq!(data(&scene.db, id).await, ["before 1", "before 2", "before 3", "after"]);
    eventually("the events are gone", SERVER_DEADLINE, || async {
        scene.db.one::<i64>("select count(*) from edge_store.event").await == 0
    })
    .await;
    assert_eq!(scene.db.one::<i64>("select count(*) from edge_store.stream").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_event_is_ever_deleted_by_itself() {
    let scene = scene().await;
    scene.peer.otherwise(|_| sse().send(event("one")).send(event("two")));
    for _ in 0..20 {
        let id = stream(&scene, "/").await;
        ended(&scene.db, id).await;
    }
    eventually("the events are gone", SERVER_DEADLINE, || async {
        scene.db.one::<i64>("select count(*) from edge_store.event").await == 0
    })
    .await;
    let deleted =
        "select coalesce(sum(n_tup_del + n_tup_upd), 0)::bigint from pg_stat_user_tables where relname ~ '^event_'";
    assert_eq!(scene.db.one::<i64>(deleted).await, 0, "events were deleted one by one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_leaves_events_out() {
    let scene = Scene::start().await;
    scene.peer.otherwise(|_| sse().send(event("not to be dumped")));
    let id = stream(&scene, "/").await;
    ended(&scene.db, id).await;
    let dumped: bool = scene
        .db
        .one(
            "select exists (select from pg_extension, unnest(extconfig) as configured
                            where extname = 'pg_edge' and configured::regclass::text ~ 'event|edge_store.stream')",
        )
        .await;
    assert!(!dumped);
}
