//! A run ends as its call does.

use super::job::{Job, comes_true, reaches, runs};
use crate::faults::SOON;
use crate::harness::{Cluster, Reply, eventually};
use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_s_state_is_the_real_outcome_with_its_retries() {
    let scene = Scene::start().await;
    scene.peer.sequence("/flaky", [Reply::status(503), Reply::status(200)]);
    scene.peer.on("/missing", Reply::status(404));
    // One slot has been missed.
    let hour_ago = "clock_timestamp() - interval '1 hour'";
    let flaky = Job::hourly("flaky", &scene.peer.url("/flaky")).with("passed", hour_ago);
    let flaky = flaky.start(&scene.db).await;
    let missing = Job::hourly("missing", &scene.peer.url("/missing")).with("passed", hour_ago);
    let missing = missing.start(&scene.db).await;
    reaches(&scene.db, missing, "failed", 1).await;
    reaches(&scene.db, flaky, "succeeded", 1).await;
    let error = "select error from edge_store.schedule_run where schedule_id = ";
    assert!(scene.db.one::<String>(&format!("{error}{missing}")).await.contains("404"));
    assert_eq!(scene.db.one::<Option<String>>(&format!("{error}{flaky}")).await, None);
    let states = "select string_agg(last_state, ' ' order by id) from edge_store.schedule";
    assert_eq!(scene.db.one::<String>(states).await, "succeeded failed");
    let began = "select bool_and(last_run_at = started_at) from edge.schedules
                 join edge.schedule_runs on schedule_runs.schedule = schedules.name
                 where schedule_runs.state <> 'skipped'";
    assert!(scene.db.one::<bool>(began).await, "the last run is that which ended");
    assert_eq!(scene.peer.count("/flaky"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_call_ended_while_nobody_looked_is_closed_by_the_next_dispatcher() {
    let scene = Scene::start().await;
    scene.cluster.fail_at("before_run_commit", "error");
    let id = Job::new("tick", "every 1 second", &scene.peer.url("/")).start(&scene.db).await;
    reaches(&scene.db, id, "succeeded", 2).await;
    scene.db.exec("update edge_store.schedule set active = false, due_at = null, next_run_at = null").await;
    comes_true(&scene.db, "all have ended", "select bool_and(finished_at is not null) from edge_store.schedule_run")
        .await;
    // As if the server had gone between the end of the call and that of its run.
    scene.db.exec("update edge_store.schedule_run set state = 'running', finished_at = null").await;
    let before = crate::faults::dispatcher(&scene.cluster, "postgres").await;
    crate::harness::process::send(before, nix::sys::signal::Signal::SIGTERM);
    comes_true(&scene.db, "all have ended", "select bool_and(finished_at is not null) from edge_store.schedule_run")
        .await;
    assert_eq!(runs(&scene.db, id, "running,failed").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_forgotten_after_their_time_but_for_the_last_of_each_schedule() {
    let scene = Scene::on(Cluster::builder().setting("pg_edge.schedule_history", "1s")).await;
    let id = Job::new("gone", "every 1 second", &scene.peer.url("/")).start(&scene.db).await;
    reaches(&scene.db, id, "succeeded", 3).await;
    scene.db.exec("update edge_store.schedule set active = false, due_at = null, next_run_at = null").await;
    let count = "select count(*) from edge_store.schedule_run";
    eventually("one is left", SOON, || async { scene.db.one::<i64>(count).await == 1 }).await;
    scene.db.exec("delete from edge_store.schedule").await;
    eventually("none is left of a schedule that is gone", SOON, || async { scene.db.one::<i64>(count).await == 0 })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_has_queued_all_it_may_has_its_runs_refused_with_the_reason() {
    let scene = Scene::on(Cluster::builder().setting("pg_edge.max_queued_per_role", "2")).await;
    scene.peer.on("/hang", Reply::hang());
    let id = Job::new("many", "every 1 second", &scene.peer.url("/hang")).start(&scene.db).await;
    reaches(&scene.db, id, "failed", 1).await;
    assert_eq!(runs(&scene.db, id, "running").await, 2);
    let row = scene.db.rows("select error, finished_at is not null, call_id from edge_store.schedule_run where state = 'failed' limit 1").await;
    assert!(row[0].get::<_, String>(0).contains("too many calls"), "{:?}", row[0].get::<_, String>(0));
    assert!(row[0].get::<_, bool>(1));
    assert_eq!(row[0].get::<_, Option<i64>>(2), None);
    comes_true(&scene.db, "the schedule shows it", "select last_state = 'failed' from edge_store.schedule").await;
}
