//! Reports that are not committed yet when the dispatcher has something to say of the job itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    Delivery, WORK, delivery, is_accepted, job, jobs_are_looked_at, later, nothing_is_left, start, start_with_clock,
    tries,
};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Db, Gate, Reply, eventually};
use crate::scene::{Scene, ended};

/// A job whose lease runs out while a session has reported on it and not committed.
struct Held {
    scene: Scene,
    session: Db,
    id: i64,
}

/// What the session reports.
#[derive(Clone, Copy)]
enum Says {
    Completed,
    Lives,
}

async fn held_beyond_its_lease(says: Says) -> Held {
    let scene = start_with_clock().await;
    let id = job(&scene.db, "deadline => '1 hour', heartbeat => '1 day'").await;
    is_accepted(&scene.db, id).await;
    let session = scene.cluster.connect().await;
    session.exec("begin").await;
    let told = delivery(&scene, 1).await;
    match says {
        Says::Completed => assert!(told.complete(&session, json!("done")).await),
        Says::Lives => assert!(told.heartbeat(&session, Some(json!("half"))).await),
    }
    // Everybody else is served meanwhile.
    later(&scene, 2.0).await;
    let over = "select lease_until < clock_timestamp() from edge.jobs where id = $1";
    assert!(scene.db.one_with::<bool>(over, &[&id]).await, "the lease has not run out");
    jobs_are_looked_at(&scene, 2).await;
    assert_eq!(scene.db.one_with::<String>("select edge.status($1)", &[&id]).await, "accepted");
    assert_eq!(scene.peer.count(WORK), 1);
    Held { scene, session, id }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_that_is_committed_after_the_lease_has_run_out_holds() {
    let Held { scene, session, id } = held_beyond_its_lease(Says::Completed).await;
    session.exec("commit").await;
    let response = ended(&scene.db, id).await;
    assert_eq!(
        (response.get::<_, String>("state"), response.get::<_, Value>("json")),
        ("succeeded".to_owned(), json!("done"))
    );
    assert_eq!((scene.peer.count(WORK), tries(&scene.db, id).await), (1, vec!["none".to_owned()]));
    nothing_is_left(&scene.db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_that_is_rolled_back_then_leaves_the_lease_run_out() {
    let Held { scene, session, id } = held_beyond_its_lease(Says::Completed).await;
    session.exec("rollback").await;
    let second = delivery(&scene, 2).await;
    assert_eq!(tries(&scene.db, id).await, ["lease_expired"]);
    assert!(second.complete(&scene.db, json!(2)).await);
    assert_eq!(ended(&scene.db, id).await.get::<_, Value>("json"), json!(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_of_life_that_is_committed_after_the_lease_has_run_out_prolongs_it() {
    let Held { scene, session, id } = held_beyond_its_lease(Says::Lives).await;
    session.exec("commit").await;
    let told = delivery(&scene, 1).await;
    assert!(told.complete(&scene.db, json!(1)).await);
    assert_eq!(ended(&scene.db, id).await.get::<_, i32>("attempts"), 1);
}

/// An answer that comes while a completion is not committed.
async fn answered_while_held(answer: Reply) -> Held {
    let scene = start().await;
    let gate = Gate::closed();
    scene.peer.sequence(WORK, [answer.behind(&gate), Reply::status(202)]);
    let id = job(&scene.db, "").await;
    let told = delivery(&scene, 1).await;
    let session = scene.cluster.connect().await;
    session.exec("begin").await;
    assert!(told.complete(&session, json!("done")).await);
    gate.open();
    eventually("the answer has come", SERVER_DEADLINE, || async { scene.peer.in_flight() == 0 }).await;
    let other = scene.get("/").await;
    ended(&scene.db, other).await;
    // Two looks later the dispatcher has had every opportunity to get it wrong.
    jobs_are_looked_at(&scene, 2).await;
    assert_eq!(scene.db.one_with::<String>("select edge.status($1)", &[&id]).await, "running");
    Held { scene, session, id }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_that_is_committed_after_the_answer_has_come_holds_whatever_it_was() {
    for answer in [Reply::status(500), Reply::status(404), Reply::status(202), Reply::json(200, &json!("another"))] {
        let Held { scene, session, id } = answered_while_held(answer).await;
        session.exec("commit").await;
        assert_eq!(ended(&scene.db, id).await.get::<_, Value>("json"), json!("done"));
        assert_eq!(scene.peer.count(WORK), 1);
        nothing_is_left(&scene.db).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_counts_once_the_completion_is_rolled_back() {
    let Held { scene, session, id } = answered_while_held(Reply::status(500)).await;
    session.exec("rollback").await;
    let second = delivery(&scene, 2).await;
    assert_eq!(tries(&scene.db, id).await, ["http"]);
    is_accepted(&scene.db, id).await;
    assert!(second.complete(&scene.db, json!(2)).await);
    assert_eq!(ended(&scene.db, id).await.get::<_, i32>("attempts"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_waits_for_a_prepared_transaction_to_be_committed() {
    let scene = super::start_on(crate::harness::Cluster::builder().setting("max_prepared_transactions", "5")).await;
    let id = job(&scene.db, "deadline => '1 hour'").await;
    is_accepted(&scene.db, id).await;
    scene.db.exec("begin").await;
    assert!(delivery(&scene, 1).await.complete(&scene.db, json!("two phases")).await);
    scene.db.exec("prepare transaction 'p'").await;
    let other = scene.get("/").await;
    ended(&scene.db, other).await;
    assert_eq!(scene.db.one_with::<String>("select edge.status($1)", &[&id]).await, "accepted");
    scene.db.exec("commit prepared 'p'").await;
    assert_eq!(ended(&scene.db, id).await.get::<_, Value>("json"), json!("two phases"));
}

/// Functions that report about when their leases run out, of jobs that are delivered again and again: a report that was taken
/// is the end, and one that was not is nothing.
#[tokio::test(flavor = "multi_thread")]
async fn of_reports_at_the_last_moment_exactly_those_that_were_taken_hold() {
    const JOBS: usize = 60;
    const DEADLINE: Duration = Duration::from_secs(2);
    let scene = start().await;
    let sql = format!("select edge.job('work', deadline => '2 s', max_attempts => 2) from generate_series(1, {JOBS})");
    let ids: Vec<i64> = scene.db.column(&sql).await;
    let mut sessions = Vec::new();
    for _ in 0..8 {
        sessions.push(Arc::new(scene.cluster.connect().await));
    }
    let (mut reports, mut seen) = (JoinSet::new(), 0);
    while scene.db.one::<bool>("select exists (select from edge.calls where finished_at is null)").await {
        let requests = scene.peer.requests_for(WORK);
        for request in &requests[seen..] {
            let (told, session) = (Delivery::of(request), Arc::clone(&sessions[seen % sessions.len()]));
            // From a quarter of a second before the lease runs out to a moment after that; some earlier, so that a machine that is
            // late with all of them takes a few.
            let before = Duration::from_millis(if seen % 5 == 0 { 1250 } else { 250 });
            let at = request.at + DEADLINE - before + Duration::from_millis(10 * (seen % 30) as u64);
            seen += 1;
            reports.spawn(async move {
                tokio::time::sleep_until(at.into()).await;
                let result = json!([told.id, told.attempt]);
                (told.id, told.complete(&session, result.clone()).await, result)
            });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (mut taken, mut refused) = (BTreeMap::new(), 0);
    while let Some(report) = reports.join_next().await {
        let (id, was_taken, result) = report.expect("no report panics");
        refused += u32::from(!was_taken);
        if was_taken {
            assert_eq!(taken.insert(id, result), None, "job {id} was completed twice");
        }
    }
    for id in ids {
        let response = ended(&scene.db, id).await;
        match taken.get(&id) {
            Some(result) => {
                assert_eq!(response.get::<_, String>("state"), "succeeded", "job {id} was completed");
                assert_eq!(&response.get::<_, Value>("json"), result);
            }
            None => assert_eq!(response.get::<_, String>("error_class"), "lease_expired", "job {id} was not completed"),
        }
    }
    assert!(!taken.is_empty() && refused > 0, "{} were taken and {refused} refused, which tells nothing", taken.len());
    nothing_is_left(&scene.db).await;
}
