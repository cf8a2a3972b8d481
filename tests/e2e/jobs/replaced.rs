//! Dispatchers that change while a session holds the row of a job whose delivery was on the wire.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{WORK, delivery, is_accepted, job, jobs_are_looked_at, nothing_is_left, start, tries};
use crate::faults::{dispatcher, successor};
use crate::harness::process::{Signal, send};
use crate::harness::{Db, Gate, Reply};
use crate::scene::{Scene, ended};

/// What the session reports.
#[derive(Clone, Copy, Debug)]
enum Says {
    Done,
    Failed,
    Lives,
}

/// A job on which a session reports without committing while its answer comes, and a dispatcher that is told to end then.
async fn replaced_while_a_report_is_open(says: Says) -> (Scene, Db, i64) {
    let scene = start().await;
    let gate = Gate::closed();
    scene.peer.sequence(WORK, [Reply::status(500).behind(&gate), Reply::status(202)]);
    let id = job(&scene.db, "max_attempts => 2").await;
    let told = delivery(&scene, 1).await;
    let session = scene.cluster.connect().await;
    session.exec("begin").await;
    let is_taken = match says {
        Says::Done => told.complete(&session, json!("done")).await,
        Says::Failed => told.fail(&session, "no use", true).await,
        Says::Lives => told.heartbeat(&session, Some(json!("half"))).await,
    };
    assert!(is_taken, "{says:?}");
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
    let (mut scene, _session, id) = replaced_while_a_report_is_open(Says::Done).await;
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
    let cases = [
        (Says::Done, "commit", vec!["none"]),
        (Says::Done, "rollback", vec!["interrupted", "none"]),
        // It is the one of two attempts that has failed.
        (Says::Failed, "commit", vec!["job", "none"]),
        (Says::Failed, "rollback", vec!["interrupted", "none"]),
        (Says::Lives, "commit", vec!["interrupted", "none"]),
    ];
    for (says, end, expected) in cases {
        let (scene, session, id) = replaced_while_a_report_is_open(says).await;
        let worker = dispatcher(&scene.cluster, "postgres").await;
        send(worker, Signal::SIGTERM);
        successor(&scene.cluster, "dispatcher", "postgres", worker).await;
        let other = scene.get("/").await;
        ended(&scene.db, other).await;
        assert_eq!(scene.peer.count(WORK), 1, "it was delivered while it was reported on");
        session.exec(end).await;
        if expected.len() == 2 {
            let second = delivery(&scene, 2).await;
            is_accepted(&scene.db, id).await;
            assert!(second.complete(&scene.db, json!("done")).await);
        }
        assert_eq!(ended(&scene.db, id).await.get::<_, Value>("json"), json!("done"));
        assert_eq!(scene.peer.count(WORK), expected.len());
        assert_eq!(tries(&scene.db, id).await, expected, "{says:?}, {end}");
        let numbers: Vec<i32> =
            scene.db.column(&format!("select attempt from edge.attempts where call_id = {id} order by attempt")).await;
        assert_eq!(numbers, (1..).take(expected.len()).collect::<Vec<_>>(), "{says:?}, {end}");
        nothing_is_left(&scene.db).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_interrupted_too_often_is_given_up_once_nobody_can_report_on_it() {
    let (scene, session, id) = replaced_while_a_report_is_open(Says::Lives).await;
    scene.cluster.set("pg_edge.max_interruptions", "1").await;
    let worker = dispatcher(&scene.cluster, "postgres").await;
    send(worker, Signal::SIGTERM);
    successor(&scene.cluster, "dispatcher", "postgres", worker).await;
    let other = scene.get("/").await;
    ended(&scene.db, other).await;
    session.exec("rollback").await;
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, String>("state"), "failed");
    assert_eq!((response.get::<_, String>("error_class"), scene.peer.count(WORK)), ("interrupted".to_owned(), 1));
    nothing_is_left(&scene.db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_session_that_reports() {
    let (scene, session, id) = replaced_while_a_report_is_open(Says::Done).await;
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
