//! Somebody sets the server's clock: nothing stalls, and no slot is run twice.

use std::time::Duration;

use super::job::{Job, comes_true, gaps, reaches, runs};
use crate::harness::Cluster;
use crate::scene::Scene;

const HOUR: Duration = Duration::from_secs(3600);
const TEN_MINUTES: Duration = Duration::from_secs(600);

/// A cron expression of the one second that lies so far from now.
async fn in_seconds(scene: &Scene, seconds: i32) -> String {
    let sql = format!(
        "select to_char(clock_timestamp() at time zone 'UTC' + interval '{seconds} seconds', 'FMSS FMMI FMHH24 * * *')"
    );
    scene.db.one(&sql).await
}

/// Waits for three more runs of each of the schedules.
async fn go_on(scene: &Scene, schedules: &[i64]) {
    let mut before = Vec::new();
    for id in schedules {
        before.push(runs(&scene.db, *id, "succeeded").await);
    }
    for (id, before) in schedules.iter().zip(before) {
        reaches(&scene.db, *id, "succeeded", before + 3).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_forward_and_back_neither_stalls_nor_repeats_anything() {
    // A dispatcher that is sent away below leaves no call behind for its successor to send again.
    let scene = Scene::on(Cluster::builder().own_clock().setting("pg_edge.shutdown_grace", "60s")).await;
    let clock = scene.cluster.clock();
    let url = scene.peer.url("/");
    let grid = Job::new("grid", "every 1 second", &url).start(&scene.db).await;
    let wild = Job::new("wild", "*/2 * * * * *", &url).start(&scene.db).await;
    // These come to lie in the hour that is skipped: one in its middle, one where the clock will show it again.
    let skipped = Job::new("skipped", &in_seconds(&scene, 1800).await, &url).start(&scene.db).await;
    let again = Job::new("again", &in_seconds(&scene, 3600 - 600 + 45).await, &url).start(&scene.db).await;
    go_on(&scene, &[grid, wild]).await;

    clock.step_forward(HOUR);
    go_on(&scene, &[grid, wild]).await;
    reaches(&scene.db, skipped, "succeeded", 1).await;
    reaches(&scene.db, again, "succeeded", 1).await;
    let missed = format!(
        "select count(*) = 2 from edge_store.schedule_run where schedule_id in ({skipped}, {again})
                          and origin = 'm' and state = 'succeeded'"
    );
    assert!(scene.db.one::<bool>(&missed).await, "they are made up for");

    let ahead = Job::new("ahead", &in_seconds(&scene, 15).await, &url).start(&scene.db).await;
    let planned = format!("select next_run_at > clock_timestamp() from edge_store.schedule where id = {ahead}");
    comes_true(&scene.db, "it is planned", &planned).await;
    clock.step_back(TEN_MINUTES);
    go_on(&scene, &[grid, wild]).await;
    // The steady clock passes the slot of the job with a fixed time; that one waits for the clock on the wall.
    let steady = format!(
        "select max(scheduled_for) > (select next_run_at from edge_store.schedule where id = {ahead})
                          from edge_store.schedule_run where schedule_id = {grid}"
    );
    comes_true(&scene.db, "others have gone beyond it", &steady).await;
    assert_eq!(runs(&scene.db, ahead, "running,succeeded,skipped").await, 0);
    // A new dispatcher finds out how far the others had come.
    let before = crate::faults::dispatcher(&scene.cluster, "postgres").await;
    crate::harness::process::send(before, nix::sys::signal::Signal::SIGTERM);
    crate::faults::successor(&scene.cluster, "dispatcher", "postgres", before).await;
    go_on(&scene, &[grid, wild]).await;
    // The time comes a second time that a job with a fixed time was made up for already.
    let shown = format!(
        "select clock_timestamp() > max(scheduled_for) + interval '3 seconds'
                         from edge_store.schedule_run where schedule_id = {again}"
    );
    comes_true(&scene.db, "the clock shows it again", &shown).await;
    assert_eq!(runs(&scene.db, again, "running,succeeded").await, 1);

    clock.step_forward(TEN_MINUTES);
    reaches(&scene.db, ahead, "succeeded", 1).await;
    go_on(&scene, &[grid, wild]).await;
    assert_eq!(runs(&scene.db, ahead, "running,succeeded").await, 1);
    assert_eq!(runs(&scene.db, skipped, "running,succeeded").await, 1);
    assert_eq!(gaps(&scene.db, grid).await, 0, "every slot of the grid has a row");
    let twice = "select count(*) - count(distinct (metadata ->> 'schedule', metadata ->> 'scheduled_for')) from edge_store.request";
    assert_eq!(scene.db.one::<i64>(twice).await, 0);
    let mut keys: Vec<_> =
        scene.peer.requests().iter().map(|asked| asked.header("idempotency-key").unwrap().to_owned()).collect();
    let all = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), all, "no call was made twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_years_ahead_and_is_mended_leaves_nothing_waiting_for_years() {
    let scene = Scene::on(Cluster::builder().own_clock()).await;
    let clock = scene.cluster.clock();
    let url = scene.peer.url("/");
    let grid = Job::new("grid", "every 1 second", &url).start(&scene.db).await;
    let fixed = Job::new("fixed", &in_seconds(&scene, 3600).await, &url).start(&scene.db).await;
    go_on(&scene, &[grid]).await;
    let years = Duration::from_secs(20 * 365 * 86_400);
    clock.step_forward(years);
    go_on(&scene, &[grid]).await;
    comes_true(
        &scene.db,
        "the other is planned",
        &format!("select next_run_at > clock_timestamp() from edge_store.schedule where id = {fixed}"),
    )
    .await;
    clock.step_back(years);
    go_on(&scene, &[grid]).await;
    let near = format!(
        "select next_run_at between clock_timestamp() and clock_timestamp() + interval '1 day'
                        from edge_store.schedule where id = {fixed}"
    );
    comes_true(&scene.db, "the one with a fixed time is planned anew", &near).await;
    let present = format!(
        "select max(scheduled_for) filter (where scheduled_for < clock_timestamp() + interval '1 minute')
                                  > clock_timestamp() - interval '1 minute'
                           from edge_store.schedule_run where schedule_id = {grid}"
    );
    assert!(scene.db.one::<bool>(&present).await);
}
