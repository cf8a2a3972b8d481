//! What becomes of slots that were missed.

use std::time::Duration;

use super::job::{Job, comes_true, reaches, runs};
use crate::harness::{Cluster, ClusterBuilder, Gate, Reply};
use crate::scene::Scene;

/// A job of every minute that was last dealt with an hour and a bit ago.
fn missed(scene: &Scene, catchup: &str) -> Job {
    Job::new("missed", "* * * * *", &scene.peer.url("/missed"))
        .with("passed", "date_trunc('minute', clock_timestamp()) - interval '60 minutes'")
        // Not in the seconds in which a slot is merely late.
        .with("next_run_at", "clock_timestamp() - interval '59 minutes'")
        .with("catchup", &format!("'{catchup}'"))
}

/// A server by whose clock a minute began ten seconds ago: its slot is no longer merely late, and the next does not come
/// while the test looks.
async fn within_a_minute(builder: ClusterBuilder) -> Scene {
    let scene = Scene::on(builder.own_clock()).await;
    let ahead: f64 = scene.db.one("select (70 - extract(second from clock_timestamp()))::float8").await;
    scene.cluster.clock().step_forward(Duration::from_secs_f64(ahead));
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_of_many_missed_slots_runs_and_the_others_are_said_to_be_skipped() {
    let scene = within_a_minute(Cluster::builder()).await;
    let id = missed(&scene, "one").start(&scene.db).await;
    reaches(&scene.db, id, "succeeded", 1).await;
    assert_eq!((runs(&scene.db, id, "succeeded").await, runs(&scene.db, id, "skipped").await), (1, 59));
    let latest = "select scheduled_for = date_trunc('minute', clock_timestamp()) and origin = 'm' and slots = 1
                  from edge_store.schedule_run where state = 'succeeded'";
    assert!(scene.db.one::<bool>(latest).await);
    let why: String = scene.db.one("select distinct error from edge_store.schedule_run where state = 'skipped'").await;
    assert!(why.contains("stands for it"), "{why}");
    assert_eq!(scene.peer.count("/missed"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_made_up_for_where_that_is_not_wanted() {
    let scene = within_a_minute(Cluster::builder()).await;
    let id = missed(&scene, "skip").start(&scene.db).await;
    reaches(&scene.db, id, "skipped", 60).await;
    let next = "select next_run_at > clock_timestamp() and last_run_at is null and last_state is null
                from edge_store.schedule";
    assert!(scene.db.one::<bool>(next).await);
    assert_eq!(scene.peer.count("/missed"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_missed_slots_run_one_after_the_other_within_the_window_and_the_limit() {
    let scene = within_a_minute(Cluster::builder().setting("pg_edge.max_catchup", "7")).await;
    let gate = Gate::closed();
    scene.peer.on("/missed", Reply::gate(&gate));
    let id =
        missed(&scene, "all").with("overlap", "'skip'").with("catchup_window", "'20 minutes'").start(&scene.db).await;
    reaches(&scene.db, id, "waiting", 6).await;
    assert_eq!((runs(&scene.db, id, "running").await, runs(&scene.db, id, "skipped").await), (1, 53));
    gate.open();
    reaches(&scene.db, id, "succeeded", 7).await;
    let reasons = "select string_agg(reason || ' ' || count, ', ' order by first) from (
                       select substr(error, 1, 60) as reason, count(*), min(scheduled_for) as first
                       from edge_store.schedule_run where state = 'skipped' group by 1) as reasons";
    let reasons: String = scene.db.one(reasons).await;
    assert!(reasons.contains("longer ago than") && reasons.contains("max_catchup"), "{reasons}");
    assert_eq!(scene.peer.most_in_flight(), 1);
    let order =
        "select bool_and(after) from (select scheduled_for > lag(scheduled_for) over (order by started_at) as after
                 from edge_store.schedule_run where started_at is not null) as runs";
    assert!(scene.db.one::<bool>(order).await);
}

/// A job of every second that was last dealt with 20 seconds ago, and whose calls do not end yet.
async fn late(scene: &Scene, gate: &Gate, catchup: &str, overlap: &str) -> i64 {
    scene.peer.on("/late", Reply::gate(gate));
    Job::new("late", "every 1 second", &scene.peer.url("/late"))
        .with("passed", "clock_timestamp() - interval '20 seconds'")
        .with("catchup", &format!("'{catchup}'"))
        .with("overlap", &format!("'{overlap}'"))
        .start(&scene.db)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_the_slots_of_the_last_seconds_queue_up_behind_those_that_were_missed() {
    for overlap in ["skip", "queue_one"] {
        let scene = Scene::start().await;
        let gate = Gate::closed();
        let id = late(&scene, &gate, "all", overlap).await;
        reaches(&scene.db, id, "waiting", 18).await;
        // All twenty that had come when the schedule was written; later ones find the line standing.
        let lost = "select count(*) from edge_store.schedule_run where state = 'skipped'
                    and scheduled_for <= (select min(scheduled_for) + interval '19 seconds' from edge_store.schedule_run)";
        assert_eq!(scene.db.one::<i64>(lost).await, 0, "{overlap}");
        let due = "select count(*) >= 4 from edge_store.schedule_run where state = 'waiting' and origin = 't'";
        assert!(scene.db.one::<bool>(due).await, "{overlap}");
        gate.open();
        reaches(&scene.db, id, "succeeded", 19).await;
        assert_eq!(scene.peer.most_in_flight(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_the_reason_names_the_run_that_stands_for_a_missed_slot() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    let id = late(&scene, &gate, "one", "skip").await;
    reaches(&scene.db, id, "skipped", 15).await;
    // Those before it: a later one may have been missed as well, and finds the run still going on.
    let named = "select count(*) >= 10 and bool_and(error like '%the run of ' ||
                        (select to_char(scheduled_for at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
                         from edge_store.schedule_run where state = 'running') || ' stands for it')
                 from edge_store.schedule_run as missed where state = 'skipped' and origin = 'm'
                   and scheduled_for < (select scheduled_for from edge_store.schedule_run where state = 'running')";
    let said: String = scene.db.one("select min(error) from edge_store.schedule_run where origin = 'm'").await;
    assert!(scene.db.one::<bool>(named).await, "{said}");
    gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_week_without_a_job_of_every_second_costs_a_hundred_rows() {
    let scene = Scene::start().await;
    for schedule in ["every 1 second", "* * * * * *"] {
        let id = Job::new(schedule, schedule, &scene.peer.url("/"))
            .with("passed", "clock_timestamp() - interval '7 days'")
            .start(&scene.db)
            .await;
        reaches(&scene.db, id, "succeeded", 3).await;
        // Those before the first run; later ones may be missed while the machine is busy.
        let rows = format!(
            "select count(*) from edge_store.schedule_run where schedule_id = {id} and state = 'skipped'
             and scheduled_for < (select min(scheduled_for) from edge_store.schedule_run
                                  where schedule_id = {id} and started_at is not null)"
        );
        assert_eq!(scene.db.one::<i64>(&rows).await, 101);
        let said = format!("select error from edge_store.schedule_run where schedule_id = {id} and slots > 1");
        let said: String = scene.db.one(&said).await;
        assert!(said.contains("were missed"), "{said}");
    }
    let stalled: f64 = scene
        .db
        .one("select max(extract(epoch from started_at - scheduled_for))::float8 from edge_store.schedule_run where origin = 't'")
        .await;
    // What is due is five seconds late at most when it is decided about; the rest is what writing all this takes.
    assert!(stalled < 15.0, "{stalled} s");
    assert_eq!(super::job::gaps(&scene.db, 1).await, 0, "a grid is counted to the last slot");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_down_makes_up_for_what_it_missed_when_it_is_back() {
    let mut scene = Scene::start().await;
    let id = Job::new("tick", "every 1 second", &scene.peer.url("/")).with("catchup", "'all'").start(&scene.db).await;
    reaches(&scene.db, id, "succeeded", 2).await;
    scene.cluster.stop(crate::harness::Stop::Immediate);
    let stopped = std::time::Instant::now();
    crate::harness::wait::eventually_blocking("slots are missed", crate::faults::SOON, || {
        stopped.elapsed().as_secs() >= 8
    });
    scene.cluster.start_again();
    scene.db = scene.cluster.connect().await;
    comes_true(&scene.db, "it has caught up", "select count(*) > 0 from edge_store.schedule_run where origin = 'm'")
        .await;
    let ticks = runs(&scene.db, id, "succeeded").await;
    reaches(&scene.db, id, "succeeded", ticks + 2).await;
    assert_eq!(super::job::gaps(&scene.db, id).await, 0);
    assert_eq!(runs(&scene.db, id, "skipped,failed").await, 0);
}
