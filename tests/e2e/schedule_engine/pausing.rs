//! While everything is paused, no run begins.

use std::time::{Duration, Instant};

use super::job::{Job, comes_true, reaches, runs, tell};
use crate::faults::SOON;
use crate::harness::{Gate, Reply, eventually};
use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_run_during_a_pause_and_afterwards_the_policy_decides() {
    let scene = Scene::start().await;
    let id = Job::new("tick", "every 1 second", &scene.peer.url("/")).with("catchup", "'skip'").start(&scene.db).await;
    reaches(&scene.db, id, "succeeded", 2).await;
    scene.pause().await;
    tell(&scene.db).await;
    let latest = "select max(scheduled_for)::text from edge_store.schedule_run";
    let paused_at: String = scene.db.one(latest).await;
    let nine = format!("select clock_timestamp() > '{paused_at}'::timestamptz + interval '9 seconds'");
    comes_true(&scene.db, "a while has passed", &nine).await;
    assert_eq!(scene.db.one::<String>(latest).await, paused_at, "nothing ran meanwhile");
    scene.db.exec("select edge.resume()").await;
    reaches(&scene.db, id, "skipped", 1).await;
    let ticks = runs(&scene.db, id, "succeeded").await;
    reaches(&scene.db, id, "succeeded", ticks + 1).await;
    assert_eq!(super::job::gaps(&scene.db, id).await, 0);
    let at_once = "select count(*) from edge_store.schedule_run
                   where started_at > (select min(finished_at) from edge_store.schedule_run where state = 'skipped')
                     and started_at < (select min(finished_at) from edge_store.schedule_run where state = 'skipped')
                                      + interval '300 milliseconds'";
    assert!(scene.db.one::<i64>(at_once).await <= 6, "no burst");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_begins_only_after_a_pause() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    scene.peer.on("/slow", Reply::gate(&gate));
    let id = Job::new("slow", "every 1 second", &scene.peer.url("/slow")).with("overlap", "'queue_one'");
    let id = id.start(&scene.db).await;
    reaches(&scene.db, id, "waiting", 1).await;
    // Both may have been due when the dispatcher first looked, and then the pause would keep the first one's call.
    eventually("the first run's call is on the wire", SOON, || async { scene.peer.count("/slow") == 1 }).await;
    scene.pause().await;
    gate.open();
    reaches(&scene.db, id, "succeeded", 1).await;
    assert_eq!(runs(&scene.db, id, "waiting").await, 1);
    scene.db.exec("update edge_store.schedule set due_at = null, next_run_at = null; select edge.resume()").await;
    reaches(&scene.db, id, "succeeded", 2).await;
    assert_eq!(runs(&scene.db, id, "waiting").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_somebody_has_locked_is_left_for_later_and_the_others_go_on() {
    let scene = Scene::start().await;
    let locked = Job::new("locked", "every 1 second", &scene.peer.url("/locked")).start(&scene.db).await;
    let free = Job::new("free", "every 1 second", &scene.peer.url("/free")).start(&scene.db).await;
    reaches(&scene.db, locked, "succeeded", 1).await;
    let other = scene.cluster.connect().await;
    other.exec(&format!("begin; select from edge_store.schedule where id = {locked} for update")).await;
    let (before, of_locked) =
        (runs(&scene.db, free, "succeeded").await, runs(&scene.db, locked, "succeeded,running").await);
    reaches(&scene.db, free, "succeeded", before + 3).await;
    assert_eq!(runs(&scene.db, locked, "succeeded,running").await, of_locked);
    // Looked at from another database, whose transactions do not count.
    let watch = scene.cluster.connect_as("postgres", "template1").await;
    let transactions = "select pg_stat_get_db_xact_commit(oid) from pg_database where datname = 'postgres'";
    let (before, since) = (watch.one::<i64>(transactions).await, Instant::now());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let spent = watch.one::<i64>(transactions).await - before;
    let rate = spent as f64 / since.elapsed().as_secs_f64();
    assert!(rate < 100.0, "{rate} transactions a second: it does not spin");
    other.exec("commit").await;
    reaches(&scene.db, locked, "succeeded", of_locked + 2).await;
    assert_eq!(super::job::gaps(&scene.db, locked).await, 0);
}
