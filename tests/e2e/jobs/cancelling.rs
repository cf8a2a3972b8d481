//! Giving a job up.

use serde_json::{Value, json};

use super::{WORK, delivery, is_accepted, job, nothing_is_left, start};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Gate, Reply, eventually};
use crate::scene::{ended, reaches};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_accepted_can_be_cancelled_and_its_token_is_worthless_then() {
    let scene = start().await;
    let id = job(&scene.db, "").await;
    is_accepted(&scene.db, id).await;
    assert!(scene.db.one_with::<bool>("select edge.cancel($1)", &[&id]).await);
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, String>("state"), "cancelled");
    assert_eq!(response.get::<_, String>("error"), "the call was cancelled after its function had accepted it");
    assert!(delivery(&scene, 1).await.is_worthless(&scene.db).await);
    nothing_is_left(&scene.db).await;
    assert_eq!(scene.db.one::<i64>("select count(*) from edge_store.cancellation").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_completed_first_is_not_cancelled() {
    let scene = start().await;
    let id = job(&scene.db, "").await;
    is_accepted(&scene.db, id).await;
    let session = scene.cluster.connect().await;
    session.exec("begin").await;
    assert!(delivery(&scene, 1).await.complete(&session, json!("done")).await);
    assert!(scene.db.one_with::<bool>("select edge.cancel($1)", &[&id]).await, "as far as anybody knows it can be");
    session.exec("commit").await;
    let response = ended(&scene.db, id).await;
    assert_eq!(
        (response.get::<_, String>("state"), response.get::<_, Value>("json")),
        ("succeeded".to_owned(), json!("done"))
    );
    eventually("the wish is forgotten", SERVER_DEADLINE, || async {
        scene.db.one::<i64>("select count(*) from edge_store.cancellation").await == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_on_the_wire_can_be_cancelled_unless_it_has_been_completed() {
    let scene = start().await;
    let gate = Gate::closed();
    scene.peer.on(WORK, Reply::status(202).behind(&gate));
    let (one, two) = (job(&scene.db, "").await, job(&scene.db, "").await);
    let told = [delivery(&scene, 1).await, delivery(&scene, 2).await];
    let of = |id| told.iter().find(|told| told.id == id).expect("both were delivered");
    reaches(&scene.db, one, "running").await;
    assert!(of(two).complete(&scene.db, json!(2)).await);
    scene.db.rows_with("select edge.cancel($1), edge.cancel($2)", &[&one, &two]).await;
    assert_eq!(ended(&scene.db, one).await.get::<_, String>("state"), "cancelled");
    assert_eq!(ended(&scene.db, two).await.get::<_, String>("state"), "succeeded");
    assert!(of(one).is_worthless(&scene.db).await);
    nothing_is_left(&scene.db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_cancelled_before_its_acceptance_can_be_written_is_cancelled_after_it() {
    let scene = start().await;
    let gate = Gate::closed();
    scene.peer.on(WORK, Reply::status(202).behind(&gate));
    let id = job(&scene.db, "deadline => '1 hour'").await;
    let told = delivery(&scene, 1).await;
    let session = scene.cluster.connect().await;
    session.exec("begin").await;
    assert!(told.heartbeat(&session, None).await);
    let in_flight = || scene.db.one::<i32>("select in_flight from edge.worker_status()");
    eventually("it is on the wire", SERVER_DEADLINE, || async { in_flight().await == 1 }).await;
    gate.open();
    eventually("the answer has come", SERVER_DEADLINE, || async { in_flight().await == 0 }).await;
    assert!(scene.db.one_with::<bool>("select edge.cancel($1)", &[&id]).await);
    // The wish is looked at while the row is still locked.
    let other = scene.get("/").await;
    ended(&scene.db, other).await;
    session.exec("commit").await;
    assert_eq!(ended(&scene.db, id).await.get::<_, String>("state"), "cancelled");
    assert!(told.is_worthless(&scene.db).await);
    nothing_is_left(&scene.db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_endpoint_is_dropped_fails_unless_it_has_been_completed() {
    let scene = start().await;
    let (one, two) = (job(&scene.db, "").await, job(&scene.db, "").await);
    is_accepted(&scene.db, one).await;
    is_accepted(&scene.db, two).await;
    assert_eq!(scene.db.fails("select edge.drop_endpoint('default')").await.sqlstate, "55006");
    let second = delivery(&scene, 2).await;
    let (completed, other) = (second.id, if second.id == one { two } else { one });
    let session = scene.cluster.connect().await;
    session.exec("begin").await;
    assert!(second.complete(&session, json!(1)).await);
    session.exec("select edge.drop_endpoint('default', force => true); commit").await;
    assert_eq!(ended(&scene.db, completed).await.get::<_, String>("state"), "succeeded");
    assert_eq!(ended(&scene.db, other).await.get::<_, String>("state"), "failed");
    nothing_is_left(&scene.db).await;
}
