//! What becomes of a run while another of its schedule has not ended.

use super::job::{Job, comes_true, reaches, runs, tell};
use crate::faults::SOON;
use crate::harness::{Db, Gate, Reply, eventually};
use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_skipped_while_another_has_not_ended_and_the_row_says_so() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    scene.peer.on("/slow", Reply::gate(&gate));
    let id = Job::new("slow", "every 1 second", &scene.peer.url("/slow")).with("overlap", "'skip'");
    let id = id.start(&scene.db).await;
    reaches(&scene.db, id, "skipped", 2).await;
    assert_eq!(runs(&scene.db, id, "running").await, 1);
    let why = "select distinct error from edge_store.schedule_run where state = 'skipped' and origin = 't'";
    let why: String = scene.db.one(why).await;
    assert!(why.contains("had not ended"), "{why}");
    on_the_wire(&scene).await;
    assert_eq!(scene.peer.count("/slow"), 1);
    let shown = "select last_state is null and last_run_at = (select min(started_at) from edge.schedule_runs)
                 from edge.schedules";
    assert!(scene.db.one::<bool>(shown).await, "a skipped slot is no run");
    gate.open();
    reaches(&scene.db, id, "succeeded", 2).await;
    assert_eq!(super::job::gaps(&scene.db, id).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_run_waits_for_another_and_the_next_are_skipped() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    scene.peer.on("/slow", Reply::gate(&gate));
    let id = Job::new("slow", "every 1 second", &scene.peer.url("/slow")).with("overlap", "'queue_one'");
    let id = id.start(&scene.db).await;
    reaches(&scene.db, id, "skipped", 1).await;
    assert_eq!((runs(&scene.db, id, "running").await, runs(&scene.db, id, "waiting").await), (1, 1));
    on_the_wire(&scene).await;
    assert_eq!(scene.peer.count("/slow"), 1);
    // A new dispatcher goes on with what waits.
    let before = crate::faults::dispatcher(&scene.cluster, "postgres").await;
    crate::harness::process::send(before, nix::sys::signal::Signal::SIGKILL);
    crate::faults::successor(&scene.cluster, "dispatcher", "postgres", before).await;
    let db = scene.cluster.connect().await;
    gate.open();
    reaches(&db, id, "succeeded", 3).await;
    let order =
        "select bool_and(after) from (select scheduled_for > lag(scheduled_for) over (order by started_at) as after
                 from edge_store.schedule_run where started_at is not null) as runs";
    assert!(db.one::<bool>(order).await);
    assert_eq!(super::job::gaps(&db, id).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_go_side_by_side_where_that_is_allowed() {
    let scene = Scene::start().await;
    scene.peer.on("/slow", Reply::hang());
    let id = Job::new("slow", "every 1 second", &scene.peer.url("/slow")).start(&scene.db).await;
    reaches(&scene.db, id, "running", 3).await;
    eventually("they hang", SOON, || async { scene.peer.in_flight() >= 3 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_the_one_before_it_where_that_is_wanted() {
    let scene = Scene::start().await;
    scene.peer.on("/slow", Reply::hang());
    let id = Job::new("slow", "every 1 second", &scene.peer.url("/slow")).with("overlap", "'cancel'");
    let id = id.start(&scene.db).await;
    reaches(&scene.db, id, "cancelled", 2).await;
    comes_true(&scene.db, "one runs", "select count(*) = 1 from edge_store.schedule_run where state = 'running'").await;
    // Of slots that a busy dispatcher finds due together the last one runs.
    let odd = "select count(*) from edge_store.schedule_run
               where state = 'failed' or state = 'skipped' and origin = 't' and error not like '%a later run took its place'";
    assert_eq!(scene.db.one::<i64>(odd).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_while_its_owner_loses_the_right_to_it_is_not_made() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    scene.peer.on("/slow", Reply::gate(&gate));
    let ada = scene.role("ada").await;
    let slow = scene.peer.url("/slow");
    ada.exec(&format!("select edge.schedule_http('slow', 'every 1 second', '{slow}', overlap => 'queue_one')")).await;
    let id: i64 = scene.db.one("select id from edge_store.schedule").await;
    reaches(&scene.db, id, "waiting", 1).await;
    on_the_wire(&scene).await;
    ada.exec("select edge.backfill('slow', now() - interval '60 s', now() - interval '50 s')").await;
    scene.db.exec("select edge.revoke_access('ada')").await;
    gate.open();
    let ends = "select count(*) from edge_store.schedule_run where finished_at is null";
    comes_true(&scene.db, "all runs have ended", &format!("select ({ends}) = 0")).await;
    let why = "select distinct error from edge_store.schedule_run where state = 'failed'";
    let lost = "the role that owns its schedule has no right to use schema edge any more";
    assert_eq!(scene.db.column::<String>(why).await, [lost]);
    assert_eq!(scene.peer.count("/slow"), 1);
}

/// Waits until the first call to `/slow` is. Slots that are found due together have their rows before that.
async fn on_the_wire(scene: &Scene) {
    eventually("a call is on the wire", SOON, || async { scene.peer.count("/slow") >= 1 }).await;
}

/// Has a schedule of every hour that is written with `Job` miss its last slot.
async fn miss_a_slot(db: &Db, schedule: i64) {
    db.exec(&missed_slot(schedule)).await;
    tell(db).await;
}

fn missed_slot(schedule: i64) -> String {
    format!(
        "update edge_store.schedule set passed = now() - interval '2 hours', due_at = now(), next_run_at = now()
         where id = {schedule}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_is_just_cancelling_a_run_keeps_no_schedule_waiting() {
    let scene = Scene::start().await;
    scene.peer.on("/slow", Reply::hang());
    let tick = Job::new("tick", "every 1 second", &scene.peer.url("/tick")).start(&scene.db).await;
    let slow = Job::hourly("slow", &scene.peer.url("/slow")).with("overlap", "'cancel'");
    let slow = slow.start(&scene.db).await;
    let call: i64 = scene.db.one("select edge.run_now('slow')").await;
    on_the_wire(&scene).await;
    let other = scene.cluster.connect().await;
    other.exec(&format!("begin; select edge.cancel({call})")).await;
    miss_a_slot(&scene.db, slow).await;
    reaches(&scene.db, slow, "cancelled", 1).await;
    let ticks = runs(&scene.db, tick, "succeeded").await;
    reaches(&scene.db, tick, "succeeded", ticks + 3).await;
    assert_eq!(runs(&scene.db, slow, "running").await, 1, "the later run goes on");
    assert!(!scene.cluster.log().contains("dispatcher, about schedules"), "nobody had to wait for a lock");
    other.exec("commit").await;
    let settled = "select not exists (select from edge_store.cancellation)";
    comes_true(&scene.db, "what was asked twice is done", settled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_on_what_one_schedule_needs_stops_no_other() {
    let scene = Scene::start().await;
    let tick = Job::new("tick", "every 1 second", &scene.peer.url("/tick")).start(&scene.db).await;
    let stuck = Job::new("stuck", "every 1 hour", &scene.peer.url("/stuck")).start(&scene.db).await;
    let other = scene.cluster.connect().await;
    // The hour may change meanwhile.
    other
        .exec(&format!(
            "begin; insert into edge_store.schedule_run (schedule_id, scheduled_for, run_id, owner, name, origin, state)
             select {stuck}, date_trunc('hour', now()) + hour * interval '1 hour', 1000 + hour, 10, 'stuck', 't', 'waiting'
             from generate_series(0, 1) as hour"
        ))
        .await;
    miss_a_slot(&scene.db, stuck).await;
    let complaint = || async { scene.cluster.log().contains("lock timeout") };
    eventually("the dispatcher has met the lock", SOON, complaint).await;
    let ticks = runs(&scene.db, tick, "succeeded").await;
    reaches(&scene.db, tick, "succeeded", ticks + 5).await;
    assert_eq!(runs(&scene.db, stuck, "running,succeeded").await, 0);
    other.exec("rollback").await;
    reaches(&scene.db, stuck, "succeeded", 1).await;
    assert_eq!(super::job::gaps(&scene.db, tick).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_is_not_forgotten_because_its_schedule_was_locked_when_it_could_begin() {
    let scene = Scene::start().await;
    for name in ["locked", "free"] {
        let url = scene.peer.url(&format!("/{name}"));
        scene.db.exec(&format!("select edge.schedule_http('{name}', '0 12 * * *', '{url}', timezone => 'UTC')")).await;
    }
    scene.pause().await;
    for name in ["locked", "free"] {
        let slots = format!("select edge.backfill('{name}', '2020-01-01 00:00+00', '2020-01-03 00:00+00')");
        assert_eq!(scene.db.one::<i64>(&slots).await, 2);
    }
    let other = scene.cluster.connect().await;
    other.exec("begin; select edge.pause_schedule('locked')").await;
    scene.db.exec("select edge.resume()").await;
    let id = |name: &str| format!("select id from edge_store.schedule where name = '{name}'");
    reaches(&scene.db, scene.db.one(&id("free")).await, "succeeded", 2).await;
    assert_eq!(scene.peer.count("/locked"), 0);
    other.exec("rollback").await;
    reaches(&scene.db, scene.db.one(&id("locked")).await, "succeeded", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_overtaken_ends_even_if_the_server_goes_before_it_is_told() {
    let scene = Scene::start().await;
    scene.peer.on("/slow", Reply::hang());
    let slow = Job::hourly("slow", &scene.peer.url("/slow")).with("overlap", "'cancel'");
    let slow = slow.start(&scene.db).await;
    scene.db.exec("select edge.run_now('slow')").await;
    eventually("it hangs", SOON, || async { scene.peer.in_flight() == 1 }).await;
    let watch = scene.cluster.connect().await;
    scene.db.exec(&missed_slot(slow)).await;
    scene.cluster.fail_at("after_run_commit", "kill");
    // The server may go before it says that it has been told.
    let _ = scene.db.try_exec("select pg_reload_conf()").await;
    eventually("the server has ended all its sessions", SOON, || async { watch.client().is_closed() }).await;
    let ended =
        "select count(*) filter (where state = 'cancelled') = 1 and count(*) filter (where state = 'running') = 1
                 from edge_store.schedule_run";
    eventually("the run before has ended", SOON, || crate::faults::holds(&scene.cluster, "postgres", ended)).await;
}
