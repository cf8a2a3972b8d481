//! What becomes of a run while another of its schedule has not ended.

use super::job::{Job, comes_true, reaches, runs};
use crate::faults::SOON;
use crate::harness::{Gate, Reply, eventually};
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
    let why: String = scene.db.one("select distinct error from edge_store.schedule_run where state = 'skipped'").await;
    assert!(why.contains("had not ended"), "{why}");
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
    assert_eq!(runs(&scene.db, id, "skipped,failed").await, 0);
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
    eventually("the first call is on the wire", SOON, || async { scene.peer.count("/slow") == 1 }).await;
    scene.db.exec("select edge.revoke_access('ada')").await;
    gate.open();
    let ends = "select count(*) from edge_store.schedule_run where finished_at is null";
    comes_true(&scene.db, "all runs have ended", &format!("select ({ends}) = 0")).await;
    let why = "select distinct error from edge_store.schedule_run where state = 'failed'";
    let lost = "the role that owns its schedule has no right to use schema edge any more";
    assert_eq!(scene.db.column::<String>(why).await, [lost]);
    assert_eq!(scene.peer.count("/slow"), 1);
}
