//! Crashes and errors where a job is between its function and the tables.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{WORK, delivery, is_accepted, job, jobs_are_looked_at, nothing_is_left, start, start_with_clock, tries};
use crate::faults::{SOON, dispatcher, successor};
use crate::harness::process::{Signal, send};
use crate::harness::{Db, Gate, Reply, Stop, eventually};
use crate::scene::{Scene, ended};

/// Waits for the fault, and for the worker that follows; gives a session in the server that is then there.
async fn struck(scene: &mut Scene, worker: i32) {
    eventually("the fault has struck", SOON, || async { !scene.cluster.failpoint_is_armed() }).await;
    successor(&scene.cluster, "dispatcher", "postgres", worker).await;
    scene.db = scene.cluster.connect().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_job_goes_on_over_a_restart_and_over_a_crash_of_the_server() {
    let mut scene = start().await;
    let id = job(&scene.db, "deadline => '1 hour'").await;
    is_accepted(&scene.db, id).await;
    let told = delivery(&scene, 1).await;
    scene.cluster.restart(Stop::Fast);
    scene.db = scene.cluster.connect().await;
    assert!(told.heartbeat(&scene.db, Some(json!("half"))).await);
    scene.cluster.kill_postmaster();
    scene.cluster.start_again();
    scene.db = scene.cluster.connect().await;
    assert_eq!(scene.db.one_with::<String>("select edge.status($1)", &[&id]).await, "accepted");
    assert!(told.complete(&scene.db, json!("done")).await);
    assert_eq!(ended(&scene.db, id).await.get::<_, Value>("json"), json!("done"));
    assert_eq!(scene.peer.count(WORK), 1);
    nothing_is_left(&scene.db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_runs_out_while_the_server_is_down_has_run_out() {
    let mut scene = start_with_clock().await;
    let id = job(&scene.db, "deadline => '1 hour'").await;
    is_accepted(&scene.db, id).await;
    let told = delivery(&scene, 1).await;
    scene.cluster.stop(Stop::Fast);
    scene.cluster.clock().step_forward(Duration::from_secs(2 * 3600));
    scene.cluster.start_again();
    scene.db = scene.cluster.connect().await;
    assert!(told.is_worthless(&scene.db).await);
    let second = delivery(&scene, 2).await;
    assert!(second.complete(&scene.db, json!(2)).await);
    assert_eq!(ended(&scene.db, id).await.get::<_, Value>("json"), json!(2));
}

/// A completion that has been committed, and a dispatcher that passes `point` with it in hand.
async fn a_completion_holds_over(point: &str, action: &str) {
    let mut scene = start().await;
    let id = job(&scene.db, "").await;
    is_accepted(&scene.db, id).await;
    let told = delivery(&scene, 1).await;
    let worker = dispatcher(&scene.cluster, "postgres").await;
    scene.cluster.fail_at(point, action);
    let sql = format!(r#"select edge.complete({id}, '{}', '"done"')"#, told.token);
    let taken = scene.db.client().query_one(&sql, &[]).await.map(|row| row.get::<_, bool>(0));
    // The server may go down between the commit and the session's being told of it.
    assert!(taken.unwrap_or(action == "kill"), "the completion was not taken");
    if action == "kill" {
        struck(&mut scene, worker).await;
    }
    let response = ended(&scene.db, id).await;
    assert_eq!(
        (response.get::<_, String>("state"), response.get::<_, Value>("json")),
        ("succeeded".to_owned(), json!("done"))
    );
    assert!(!scene.cluster.failpoint_is_armed(), "nothing failed");
    assert!(told.is_worthless(&scene.db).await);
    assert_eq!((scene.peer.count(WORK), tries(&scene.db, id).await), (1, vec!["none".to_owned()]));
    nothing_is_left(&scene.db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_holds_when_the_dispatcher_is_killed_before_it_writes_the_end() {
    a_completion_holds_over("before_response_commit", "kill").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_holds_when_the_end_cannot_be_written_at_first() {
    a_completion_holds_over("before_response_commit", "error").await;
    a_completion_holds_over("before_response_commit", "disk_full").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_holds_when_the_dispatcher_fails_with_the_job_s_row_in_hand() {
    a_completion_holds_over("job_held", "kill").await;
    a_completion_holds_over("job_held", "error").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_holds_when_the_dispatcher_fails_to_take_it_up() {
    a_completion_holds_over("job_reports_found", "error").await;
}

/// What the function reports while the dispatcher is down whose delivery it was.
async fn killed_with_the_answer_outstanding(reported_before: bool) {
    let mut scene = start().await;
    let gate = Gate::closed();
    scene.peer.sequence(WORK, [Reply::status(202).behind(&gate), Reply::status(202)]);
    let id = job(&scene.db, "").await;
    let first = delivery(&scene, 1).await;
    let worker = dispatcher(&scene.cluster, "postgres").await;
    if reported_before {
        assert!(first.complete(&scene.db, json!("first")).await);
    }
    send(worker, Signal::SIGKILL);
    successor(&scene.cluster, "dispatcher", "postgres", worker).await;
    scene.db = eventually("the server takes sessions again", SOON, || async {
        scene.cluster.try_connect_as("postgres", "postgres").await.ok()
    })
    .await;
    if reported_before {
        assert_eq!(ended(&scene.db, id).await.get::<_, Value>("json"), json!("first"));
        assert_eq!(scene.peer.count(WORK), 1, "a job that was completed is delivered again");
    } else {
        let second = delivery(&scene, 2).await;
        assert_eq!((second.id, second.attempt.as_str()), (id, "2"));
        assert!(first.is_worthless(&scene.db).await, "an earlier delivery can be reported on");
        assert!(second.complete(&scene.db, json!("second")).await);
        let response = ended(&scene.db, id).await;
        assert_eq!(response.get::<_, Value>("json"), json!("second"));
        assert_eq!(tries(&scene.db, id).await, ["interrupted", "none"]);
    }
    nothing_is_left(&scene.db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_was_interrupted_is_made_again_with_another_token() {
    killed_with_the_answer_outstanding(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_was_interrupted_after_its_completion_is_not_made_again() {
    killed_with_the_answer_outstanding(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_whose_turn_failed_goes_out_with_a_token_that_counts() {
    for action in ["error", "disk_full", "kill"] {
        let mut scene = start().await;
        let worker = dispatcher(&scene.cluster, "postgres").await;
        scene.cluster.fail_at("before_job_commit", action);
        // The server may go down between the commit and the session's being told of it.
        let queued = scene.db.try_exec("select edge.job('work')").await;
        assert!(queued.is_ok() || action == "kill", "{queued:?}");
        if action == "kill" {
            struck(&mut scene, worker).await;
        }
        let told = delivery(&scene, 1).await;
        assert!(told.complete(&scene.db, json!(action)).await, "{action}");
        assert_eq!(ended(&scene.db, told.id).await.get::<_, Value>("json"), json!(action));
        assert!(!scene.cluster.failpoint_is_armed(), "nothing failed");
        assert_eq!(scene.peer.count(WORK), 1);
        nothing_is_left(&scene.db).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_stored_of_one_job_stops_no_other() {
    let scene = start().await;
    scene.db.exec("alter table edge_store.response add check (body is distinct from 'unwelcome')").await;
    scene.peer.answer(WORK, |request| {
        let is_bad = request.text().contains("bad");
        if is_bad { Reply::text(200, "unwelcome") } else { Reply::status(202) }
    });
    let bad: i64 = scene.db.one(r#"select edge.job('work', '{"bad": true}')"#).await;
    let good = job(&scene.db, "").await;
    is_accepted(&scene.db, good).await;
    let plain = scene.get("/").await;
    assert_eq!(ended(&scene.db, plain).await.get::<_, String>("state"), "succeeded");
    let told = scene.peer.requests_for(WORK);
    let told = told.iter().map(super::Delivery::of).find(|told| told.id == good).expect("it was delivered");
    assert!(told.complete(&scene.db, json!(1)).await);
    assert_eq!(ended(&scene.db, good).await.get::<_, String>("state"), "succeeded");
    let response = ended(&scene.db, bad).await;
    assert_eq!(response.get::<_, String>("state"), "failed");
    assert!(response.get::<_, String>("error").contains("could not be stored"));
    nothing_is_left(&scene.db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_carries_jobs_that_are_with_their_functions() {
    let scene = super::start_on(crate::harness::Cluster::builder().setting("pg_edge.retention", "7s")).await;
    let id = job(&scene.db, "deadline => '1 hour', metadata => '{\"kept\": true}'").await;
    is_accepted(&scene.db, id).await;
    let told = delivery(&scene, 1).await;
    let sql = "select slot from edge_store.deferred where call_id = $1";
    let first: i16 = scene.db.one_with(sql, &[&id]).await;
    eventually("the ring has come round", SOON, || async { scene.db.one_with::<i16>(sql, &[&id]).await != first })
        .await;
    assert!(told.complete(&scene.db, json!("late")).await);
    assert_eq!(ended(&scene.db, id).await.get::<_, Value>("json"), json!("late"));
    nothing_is_left(&scene.db).await;
}

/// A job on which a session reports without committing while its answer comes, and a dispatcher that is told to end then.
async fn replaced_while_a_report_is_open() -> (Scene, Db, i64) {
    let scene = start().await;
    let gate = Gate::closed();
    scene.peer.sequence(WORK, [Reply::status(500).behind(&gate), Reply::status(202)]);
    let id = job(&scene.db, "").await;
    let told = delivery(&scene, 1).await;
    let session = scene.cluster.connect().await;
    session.exec("begin").await;
    assert!(told.complete(&session, json!("done")).await);
    gate.open();
    jobs_are_looked_at(&scene, 1).await;
    // Other calls come and go, so that the batch of the job is not the newest.
    for _ in 0..3 {
        let other = scene.get("/").await;
        ended(&scene.db, other).await;
    }
    (scene, session, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_could_not_be_written_before_a_crash_loses_no_job() {
    let (mut scene, _session, id) = replaced_while_a_report_is_open().await;
    scene.cluster.kill_postmaster();
    scene.cluster.start_again();
    scene.db = scene.cluster.connect().await;
    let second = delivery(&scene, 2).await;
    is_accepted(&scene.db, id).await;
    assert!(second.complete(&scene.db, json!("again")).await);
    assert_eq!(ended(&scene.db, id).await.get::<_, Value>("json"), json!("again"));
    nothing_is_left(&scene.db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_is_open_when_the_dispatcher_changes_is_waited_for_by_the_next_one() {
    for end in ["commit", "rollback"] {
        let (scene, session, id) = replaced_while_a_report_is_open().await;
        let worker = dispatcher(&scene.cluster, "postgres").await;
        send(worker, Signal::SIGTERM);
        successor(&scene.cluster, "dispatcher", "postgres", worker).await;
        let other = scene.get("/").await;
        ended(&scene.db, other).await;
        assert_eq!(scene.peer.count(WORK), 1, "it was delivered while it was reported on");
        session.exec(end).await;
        if end == "rollback" {
            let second = delivery(&scene, 2).await;
            is_accepted(&scene.db, id).await;
            assert!(second.complete(&scene.db, json!("done")).await);
        }
        assert_eq!(ended(&scene.db, id).await.get::<_, Value>("json"), json!("done"));
        assert_eq!(scene.peer.count(WORK), if end == "commit" { 1 } else { 2 });
        nothing_is_left(&scene.db).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_call_has_ended_otherwise_is_cleared_away() {
    let scene = start().await;
    let id = job(&scene.db, "deadline => '1 hour'").await;
    is_accepted(&scene.db, id).await;
    let told = delivery(&scene, 1).await;
    let sql = "insert into edge_store.response (call_id, slot, state, attempts, finished_at)
               select call_id, slot, 'f', 1, now() from edge_store.deferred where call_id = $1";
    scene.db.rows_with(sql, &[&id]).await;
    assert!(told.complete(&scene.db, json!("late")).await);
    nothing_is_left(&scene.db).await;
    let other = scene.get("/").await;
    assert_eq!(ended(&scene.db, other).await.get::<_, String>("state"), "succeeded");
    assert_eq!(scene.db.one_with::<String>("select edge.status($1)", &[&id]).await, "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_job_whose_end_cannot_be_written_is_not_lost_in_a_crash() {
    let mut scene = start().await;
    scene
        .db
        .exec("alter table edge_store.response add constraint poison check (error_class <> 'secret') not valid")
        .await;
    let id = job(&scene.db, r#"headers => '{"x-key": "${secret:none}"}'"#).await;
    // Later calls are leased, and move the floor.
    for _ in 0..3 {
        let other = scene.get("/").await;
        ended(&scene.db, other).await;
    }
    assert_eq!(scene.db.one_with::<String>("select edge.status($1)", &[&id]).await, "pending");
    scene.cluster.kill_postmaster();
    scene.cluster.start_again();
    scene.db = scene.cluster.connect().await;
    scene.db.exec("alter table edge_store.response drop constraint poison").await;
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, String>("state"), "failed");
    nothing_is_left(&scene.db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_session_that_reports() {
    let (scene, session, id) = replaced_while_a_report_is_open().await;
    scene.cluster.set("pg_edge.shutdown_grace", "60 s").await;
    let worker = dispatcher(&scene.cluster, "postgres").await;
    let other = scene.get("/").await;
    ended(&scene.db, other).await;
    let began = SystemTime::now();
    send(worker, Signal::SIGTERM);
    successor(&scene.cluster, "dispatcher", "postgres", worker).await;
    let took = began.elapsed().unwrap_or_default();
    assert!(took < Duration::from_secs(30), "the stop took {took:?}, and would have waited for a minute");
    session.exec("commit").await;
    assert_eq!(ended(&scene.db, id).await.get::<_, Value>("json"), json!("done"));
    nothing_is_left(&scene.db).await;
}
