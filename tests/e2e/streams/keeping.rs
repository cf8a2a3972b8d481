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
    // The ring stands still as long as somebody reads: so what has ended is there until it has been looked at.
    let reader = scene.cluster.connect().await;
    reader.exec("begin; lock table edge_store.event in access share mode").await;
    gate.open();
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    assert_eq!(data(&scene.db, id).await, ["before 1", "before 2", "before 3", "after"]);
    reader.exec("rollback").await;
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
        stream(&scene, "/").await;
        // It may have been forgotten by the time one looks.
        let open = "select count(*) from edge.calls where finished_at is null";
        eventually("it has ended", SERVER_DEADLINE, || async { scene.db.one::<i64>(open).await == 0 }).await;
    }
    eventually("the events are gone", SERVER_DEADLINE, || async {
        scene.db.one::<i64>("select count(*) from edge_store.event").await == 0
    })
    .await;
    // An event is in a row of its own, or shares it with the other one of its call.
    let counted = "select coalesce(sum(n_tup_ins), 0)::bigint, coalesce(sum(n_tup_del + n_tup_upd), 0)::bigint
                   from pg_stat_user_tables where relname ~ '^event_[0-7]$'";
    let deleted: i64 = eventually("all are counted", SERVER_DEADLINE, || async {
        let row = scene.db.rows(counted).await.remove(0);
        (row.get::<_, i64>(0) >= 20).then(|| row.get(1))
    })
    .await;
    assert_eq!(deleted, 0, "events were deleted one by one");
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
