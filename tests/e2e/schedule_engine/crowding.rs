//! Runs of schedules and `pg_edge.max_queued_per_role`: however many are due at once, a role has no more calls than it may.

use super::job::{Job, comes_true, reaches, runs, tell};
use crate::faults::SOON;
use crate::harness::{Cluster, Gate, Reply, eventually};
use crate::scene::{Scene, call};

/// A role may have so many calls, and those to `/hang` never end.
async fn with_room_for(calls: u32) -> Scene {
    let scene = Scene::on(Cluster::builder().setting("pg_edge.max_queued_per_role", &calls.to_string())).await;
    scene.peer.on("/hang", Reply::hang());
    scene
}

/// Three of twenty runs have begun, and the others were refused with the reason.
async fn three_of_twenty_run(scene: &Scene) {
    let decided = "select count(*) >= 20 from edge_store.schedule_run where state <> 'skipped'";
    comes_true(&scene.db, "all have been decided about", decided).await;
    let states = "select format('%s %s', count(*) filter (where state = 'running'),
                                count(*) filter (where error like '%pg_edge.max_queued_per_role allows 3'
                                                   and state = 'failed' and finished_at is not null))
                  from edge_store.schedule_run where state <> 'skipped'";
    assert_eq!(scene.db.one::<String>(states).await, "3 17");
    eventually("three are sent", SOON, || async { scene.peer.count("/hang") == 3 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_schedules_that_are_due_at_once_share_the_room_of_their_role() {
    let scene = with_room_for(3).await;
    for n in 0..20 {
        let job = Job::hourly(&format!("job {n}"), &scene.peer.url("/hang"));
        job.with("passed", "clock_timestamp() - interval '1 hour'").write(&scene.db).await;
    }
    tell(&scene.db).await;
    three_of_twenty_run(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runs_of_one_schedule_that_are_made_up_for_share_the_room_of_its_role() {
    let scene = with_room_for(3).await;
    let job = Job::hourly("often", &scene.peer.url("/hang")).with("catchup", "'all'");
    job.with("passed", "clock_timestamp() - interval '20 hours'").start(&scene.db).await;
    three_of_twenty_run(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_begins_only_when_its_role_has_room() {
    let scene = with_room_for(2).await;
    let gate = Gate::closed();
    scene.peer.on("/slow", Reply::gate(&gate));
    let first = call(&scene.db, "edge.http_get_async($1)", &scene.peer.url("/hang")).await;
    let job = Job::new("slow", "every 1 second", &scene.peer.url("/slow")).with("overlap", "'queue_one'");
    let id = job.start(&scene.db).await;
    reaches(&scene.db, id, "waiting", 1).await;
    // Both may have been due when the dispatcher first looked, and then the pause would keep the first one's call.
    eventually("the first run's call is on the wire", SOON, || async { scene.peer.count("/slow") == 1 }).await;
    // While nothing may begin, somebody takes the room that the first run leaves.
    scene.db.exec("select edge.pause()").await;
    gate.open();
    reaches(&scene.db, id, "succeeded", 1).await;
    call(&scene.db, "edge.http_get_async($1)", &scene.peer.url("/hang")).await;
    let skipped = runs(&scene.db, id, "skipped").await;
    scene.db.exec("select edge.resume()").await;
    reaches(&scene.db, id, "skipped", skipped + 2).await;
    assert_eq!(runs(&scene.db, id, "waiting").await, 1);
    assert_eq!(runs(&scene.db, id, "running,failed").await, 0);
    assert_eq!(scene.peer.count("/slow"), 1);
    scene.db.exec(&format!("select edge.cancel({first})")).await;
    reaches(&scene.db, id, "succeeded", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_refused_does_not_end_the_one_before_it() {
    let scene = with_room_for(1).await;
    let job = Job::new("later", "every 1 second", &scene.peer.url("/hang")).with("overlap", "'cancel'");
    let id = job.start(&scene.db).await;
    reaches(&scene.db, id, "failed", 2).await;
    assert_eq!(runs(&scene.db, id, "running").await, 1);
    assert_eq!(runs(&scene.db, id, "cancelled").await, 0);
}
