//! Reports that come too late leave a trace for the job's owner, and hold up nobody.

use serde_json::{Value, json};

use super::{Delivery, WORK, delivery, is_accepted, job, nothing_is_left, start};
use crate::faults::{SOON, dispatcher, successor};
use crate::harness::process::{Signal, send};
use crate::harness::{Db, Gate, Reply, eventually};
use crate::scene::{Scene, ended};

/// How many reports were refused, and what the last one was.
async fn refused(db: &Db, id: i64) -> (i64, Option<String>) {
    let sql = "select refused_reports, refused, refused_at > clock_timestamp() - interval '1 hour' from edge.jobs where id = $1";
    let rows = db.rows_with(sql, &[&id]).await;
    let row = rows.first().expect("the job is shown");
    let (reports, last): (i64, Option<String>) = (row.get(0), row.get(1));
    assert_eq!(row.get::<_, Option<bool>>(2), last.as_ref().map(|_| true), "it says when that was");
    (reports, last)
}

/// A job of which the first delivery is over, and the second is with its function.
async fn at_its_second_delivery() -> (Scene, i64, Delivery, Delivery) {
    let scene = start().await;
    let id = job(&scene.db, "deadline => '1 hour'").await;
    let first = delivery(&scene, 1).await;
    is_accepted(&scene.db, id).await;
    assert!(first.fail(&scene.db, "no", true).await);
    let second = delivery(&scene, 2).await;
    is_accepted(&scene.db, id).await;
    (scene, id, first, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_a_job_sees_what_was_reported_too_late() {
    let (scene, id, first, second) = at_its_second_delivery().await;
    assert_eq!(refused(&scene.db, id).await, (0, None));
    assert!(!first.heartbeat(&scene.db, Some(json!("still at it"))).await);
    assert_eq!(refused(&scene.db, id).await, (1, Some("heartbeat: the delivery was over".to_owned())));
    assert!(!first.complete(&scene.db, json!(1)).await);
    assert_eq!(refused(&scene.db, id).await, (2, Some("complete: the delivery was over".to_owned())));
    // What was never good is nobody's report.
    let strange = Delivery { token: "guessed".to_owned(), ..first.clone() };
    assert!(strange.is_worthless(&scene.db).await);
    assert_eq!(refused(&scene.db, id).await.0, 2);
    // Of what comes without end not all is written down.
    for _ in 0..150 {
        assert!(!first.heartbeat(&scene.db, None).await);
    }
    assert_eq!(refused(&scene.db, id).await.0, 100);
    assert!(second.complete(&scene.db, json!(2)).await);
    assert_eq!(ended(&scene.db, id).await.get::<_, Value>("json"), json!(2));
    nothing_is_left(&scene.db).await;
    assert_eq!(scene.db.one::<i64>("select count(*) from edge_store.refused_report").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_otherwise_or_after_the_lease_is_told_apart() {
    let scene = start().await;
    let gate = Gate::closed();
    scene.peer.on(WORK, Reply::status(202).behind(&gate));
    let id = job(&scene.db, "deadline => '1 hour'").await;
    let told = delivery(&scene, 1).await;
    assert!(told.complete(&scene.db, json!(1)).await && told.complete(&scene.db, json!(1)).await);
    assert_eq!(refused(&scene.db, id).await, (0, None), "who says the same again is heard");
    assert!(!told.fail(&scene.db, "no", true).await);
    assert_eq!(refused(&scene.db, id).await, (1, Some("fail: the delivery had been reported on already".to_owned())));
    let late = job(&scene.db, "deadline => '100 ms'").await;
    let told = delivery(&scene, 2).await;
    let over = "select lease_until < clock_timestamp() from edge.jobs where id = $1";
    eventually("the lease has run out", SOON, || async { scene.db.one_with::<bool>(over, &[&late]).await }).await;
    assert!(!told.complete(&scene.db, json!(1)).await);
    assert_eq!(refused(&scene.db, late).await, (1, Some("complete: the lease had run out".to_owned())));
    gate.open();
    ended(&scene.db, id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_is_too_late_holds_up_none_that_is_in_time() {
    let (scene, id, first, second) = at_its_second_delivery().await;
    let session = scene.cluster.connect().await;
    session.exec("begin").await;
    assert!(!first.complete(&session, json!(1)).await);
    assert!(second.complete(&scene.db, json!(2)).await);
    assert_eq!(ended(&scene.db, id).await.get::<_, Value>("json"), json!(2));
    nothing_is_left(&scene.db).await;
    // It is about a job of which there is nothing any more; the next dispatcher clears it away.
    session.exec("commit").await;
    assert_eq!(scene.db.one::<i64>("select count(*) from edge_store.refused_report").await, 1);
    let worker = dispatcher(&scene.cluster, "postgres").await;
    send(worker, Signal::SIGTERM);
    successor(&scene.cluster, "dispatcher", "postgres", worker).await;
    let none = "select count(*) = 0 from edge_store.refused_report";
    eventually("nothing is left of it", SOON, || scene.db.one::<bool>(none)).await;
}
