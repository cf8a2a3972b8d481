//! Pausing and resuming, running now and later, and dropping.

use super::shown;
use crate::faults::SOON;
use crate::harness::{Gate, Reply, eventually};
use crate::scene::{Scene, ended, reaches};

async fn call_at(scene: &Scene, name: &str, path: &str, more: &str) {
    let url = scene.peer.url(path);
    scene.db.exec(&format!("select edge.schedule_http('{name}', '@yearly', '{url}'{more})")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_schedule_is_planned_from_now_on() {
    let scene = Scene::start().await;
    let db = &scene.db;
    db.exec("select edge.schedule('s', 'every 10 hours', 'select 1')").await;
    db.exec("select edge.pause_schedule('s', 'the warehouse moves')").await;
    assert_eq!(
        shown(db, "s", "(active, next_run_at, note, noted_by)").await.as_deref(),
        Some("(f,,\"the warehouse moves\",postgres)")
    );
    assert_eq!(db.one::<Option<String>>("select due_at::text from edge_store.schedule").await, None, "it is not found");
    db.exec("update edge_store.schedule set passed = now() - interval '30 days'").await;
    db.exec("select edge.resume_schedule('s')").await;
    let from_now: bool = db
        .one(
            "select s.active and s.next_run_at > now() and s.due_at = s.next_run_at and s.note is null
                and passed > now() - interval '1 hour' from edge_store.schedule as s",
        )
        .await;
    assert!(from_now);
    // One that runs is left as it is.
    db.exec("update edge_store.schedule set passed = passed - interval '30 hours', next_run_at = next_run_at - interval '30 hours'").await;
    let before = shown(db, "s", "next_run_at").await;
    db.exec("select edge.resume_schedule('s')").await;
    assert_eq!(shown(db, "s", "next_run_at").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_would_never_run_again_is_not_resumed() {
    let scene = Scene::start().await;
    scene.db.exec("select edge.schedule('s', 'at 2090-01-01 00:00', 'select 1', active => false)").await;
    scene.db.exec("update edge_store.schedule set schedule = 'at 2020-01-01 00:00'").await;
    let refused = scene.db.fails("select edge.resume_schedule('s')").await;
    assert!(refused.message.ends_with("lies in the past"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_shown_as_its_call_is_until_its_real_outcome() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    scene.peer.on("/slow", Reply::gate(&gate));
    let failing = Gate::closed();
    scene.peer.on("/bad", Reply::status(500).behind(&failing));
    call_at(&scene, "slow", "/slow", "").await;
    call_at(&scene, "bad", "/bad", ", max_attempts => 2").await;
    let slow: i64 = scene.db.one("select edge.run_now('slow')").await;
    reaches(&scene.db, slow, "running").await;
    let state = |id: i64| format!("select state from edge.schedule_runs where call_id = {id}");
    assert_eq!(scene.db.one::<String>(&state(slow)).await, "running");
    let bad: i64 = scene.db.one("select edge.run_now('bad')").await;
    scene.peer.wait_for_path("/bad", 1).await;
    // During a pause it is not tried again, however long this test takes to look.
    scene.db.exec("select edge.pause()").await;
    failing.open();
    reaches(&scene.db, bad, "retrying").await;
    assert_eq!(scene.db.one::<String>(&state(bad)).await, "retrying");
    scene.db.exec("select edge.resume()").await;
    gate.open();
    ended(&scene.db, slow).await;
    ended(&scene.db, bad).await;
    let row = &scene.db.rows(&format!("select state, origin, error, lateness is null, schedule, finished_at is not null from edge.schedule_runs where call_id = {bad}")).await[0];
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("failed", "run_now"));
    assert!(row.get::<_, &str>(2).contains("500"), "{}", row.get::<_, &str>(2));
    assert_eq!((row.get::<_, bool>(3), row.get::<_, &str>(4), row.get::<_, bool>(5)), (true, "bad", true));
    assert_eq!(scene.db.one::<String>(&state(slow)).await, "succeeded");
    assert!(shown(&scene.db, "slow", "last_run_at").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_schedule_can_be_run_now_and_one_of_sql_gives_the_number_of_its_run() {
    let scene = Scene::start().await;
    call_at(&scene, "call", "/now", "").await;
    scene.db.exec("select edge.pause_schedule('call')").await;
    let call: i64 = scene.db.one("select edge.run_now('call')").await;
    ended(&scene.db, call).await;
    assert_eq!(scene.peer.count("/now"), 1);
    scene.db.exec("select edge.schedule('sql', '@yearly', 'select 1')").await;
    let run: i64 = scene.db.one("select edge.run_now('sql')").await;
    let found: String = scene.db.one(&format!("select schedule from edge.schedule_runs where run_id = {run}")).await;
    assert_eq!(found, "sql");
}

#[tokio::test(flavor = "multi_thread")]
async fn backfilling_queues_each_slot_once() {
    let scene = Scene::start().await;
    scene.db.exec("select edge.schedule('s', '0 12 * * *', 'select 1', timezone => 'UTC')").await;
    let fill = |from: &str, to: &str| format!("select edge.backfill('s', '{from}+00', '{to}+00')");
    assert_eq!(scene.db.one::<i64>(&fill("2020-01-01 12:00", "2020-01-03 12:00")).await, 3, "both ends are included");
    assert_eq!(scene.db.one::<i64>(&fill("2020-01-01 12:00:01", "2020-01-05 11:59:59")).await, 1);
    assert_eq!(scene.db.one::<i64>(&fill("2020-01-01 00:00", "2020-01-05 00:00")).await, 0);
    let slots: Vec<String> = scene
        .db
        .column("select to_char(scheduled_for at time zone 'UTC', 'MM-DD HH24') from edge.schedule_runs where origin = 'backfill' order by scheduled_for")
        .await;
    assert_eq!(slots, ["01-01 12", "01-02 12", "01-03 12", "01-04 12"]);
    let refused = scene.db.fails(&fill("1990-01-01 00:00", "2020-01-01 00:00")).await;
    assert_eq!(
        (refused.sqlstate.as_str(), refused.message.as_str()),
        ("22023", "there are more than 10000 slots in that time")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_leaves_what_runs_alone_unless_it_is_to_be_cancelled() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    scene.peer.on("/slow", Reply::gate(&gate));
    for name in ["kept", "cancelled"] {
        call_at(&scene, name, "/slow", "").await;
    }
    let kept: i64 = scene.db.one("select edge.run_now('kept')").await;
    let cancelled: i64 = scene.db.one("select edge.run_now('cancelled')").await;
    eventually("both are on the wire", SOON, || async { scene.peer.in_flight() == 2 }).await;
    let dropped: (bool, bool, bool) = {
        let row = &scene
            .db
            .rows(
                "select edge.unschedule('kept'), edge.unschedule('cancelled', cancel => true), edge.unschedule('kept')",
            )
            .await[0];
        (row.get(0), row.get(1), row.get(2))
    };
    assert_eq!(dropped, (true, true, false));
    assert_eq!(ended(&scene.db, cancelled).await.get::<_, &str>("state"), "cancelled");
    gate.open();
    assert_eq!(ended(&scene.db, kept).await.get::<_, &str>("state"), "succeeded");
    assert_eq!(scene.db.one::<i64>("select count(*) from edge.schedules").await, 0);
    let runs: Vec<String> =
        scene.db.column("select schedule || ' ' || state from edge.schedule_runs order by run_id").await;
    assert_eq!(runs, ["kept succeeded", "cancelled cancelled"], "history outlives its schedule");
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_wait_end_with_their_schedule() {
    let scene = Scene::on(crate::harness::Cluster::builder().setting("pg_edge.max_sql_jobs", "0")).await;
    scene.db.exec("select edge.schedule('s', '@yearly', 'select 1')").await;
    scene.db.exec("select edge.run_now('s'), edge.unschedule('s')").await;
    let row = &scene.db.rows("select state, error from edge.schedule_runs").await[0];
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("cancelled", "the schedule was dropped"));
}
