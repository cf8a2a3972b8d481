//! Schedules that are said anew while their commands are run: what ran SQL makes calls from now on.

use super::{WAITS, World};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::eventually;

/// Has a schedule call a path of the peer from now on.
async fn becomes_a_call(world: &World, name: &str, path: &str) {
    let url = world.scene.peer.url(path);
    world.db().exec(&format!("select edge.schedule_http('{name}', '0 0 1 1 *', '{url}')")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_run_is_not_run_as_a_call_as_well() {
    let world = World::start().await;
    let schedule = world.schedule("postgres", "s", WAITS).await;
    world.db().exec("select pg_advisory_lock(7)").await;
    let (first, second) = (world.due(schedule).await, world.due(schedule).await);
    world.reaches(first, "running").await;
    becomes_a_call(&world, "s", "/s").await;
    // The dispatcher has looked at the schedules when a later one has run.
    becomes_a_call(&world, "later", "/later").await;
    world.db().exec("select edge.run_now('later')").await;
    eventually("the later one has run", SERVER_DEADLINE, || async { world.scene.peer.count("/later") == 1 }).await;
    assert_eq!(world.scene.peer.count("/s"), 0, "the command is still run");
    world.db().exec("select pg_advisory_unlock(7)").await;
    assert_eq!(world.end(first).await, "succeeded|1||");
    assert_eq!(world.end(second).await, "succeeded|||");
    assert_eq!(world.scene.peer.count("/s"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_was_to_be_tried_again_is_cancelled_when_its_schedule_makes_calls() {
    let world = World::start().await;
    let schedule = world.schedule("postgres", "s", "select 1/0").await;
    world.alter(schedule, "max_attempts = 10").await;
    let (first, second) = (world.due(schedule).await, world.due(schedule).await);
    let retried = format!("select retry_at is not null from edge_store.schedule_run where run_id = {first}");
    eventually("it is to be tried again", SERVER_DEADLINE, || world.db().one::<bool>(&retried)).await;
    becomes_a_call(&world, "s", "/s").await;
    let end = world.end(first).await;
    assert!(end.starts_with("cancelled|") && end.ends_with("its schedule makes calls now"), "{end}");
    assert_eq!(world.end(second).await, "succeeded|||");
    assert_eq!(world.scene.peer.count("/s"), 1);
}
