//! Jobs whose leases nobody looks at, and those that are delivered again and again.

use super::{endpoint, is_well, nothing_with, says};
use crate::faults::{dispatcher, successor};
use crate::harness::process::{Signal, send};
use crate::harness::{Db, Reply};
use crate::scene::{Scene, ended, reaches};

/// A scene with an endpoint that accepts all jobs, and a role that may make some.
async fn start() -> (Scene, Db) {
    let scene = Scene::start().await;
    scene.peer.on("/work", Reply::status(202));
    endpoint(&scene, "default", ", retry => edge.retry_policy(base => '10 ms', jitter => '0')").await;
    let app = scene.role("app").await;
    (scene, app)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_ran_out_while_a_session_holds_the_job_is_a_problem() {
    let (scene, app) = start().await;
    let eve = scene.role("eve").await;
    let id: i64 = app.one("select edge.job('work', deadline => '1 hour')").await;
    reaches(&app, id, "accepted").await;
    // Of this the dispatcher knows nothing before it is another one.
    let past = "clock_timestamp() - interval '10 minutes'";
    scene.db.exec(&format!("update edge_store.job set lease_until = {past}")).await;
    scene.db.exec(&format!("update edge_store.deferred set due_at = {past}")).await;
    let holder = scene.cluster.connect().await;
    holder.exec("begin").await;
    holder.exec("select from edge_store.job for update").await;
    let worker = dispatcher(&scene.cluster, "postgres").await;
    send(worker, Signal::SIGTERM);
    successor(&scene.cluster, "dispatcher", "postgres", worker).await;
    let other = scene.get("/").await;
    ended(&scene.db, other).await;
    let says_so = format!("the lease of 1 job has run out without another delivery, that of job {id} at");
    says(&app, "jobs", &says_so, "a transaction that reports on it has not ended").await;
    is_well(&eve).await;
    assert_eq!(scene.peer.count("/work"), 1);
    holder.exec("commit").await;
    scene.peer.wait_for_path("/work", 2).await;
    is_well(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_delivered_again_and_again_is_a_problem() {
    let (scene, app) = start().await;
    let eve = scene.role("eve").await;
    let sql = "select edge.job('work', deadline => '100 ms', max_attempts => 1000)";
    let id: i64 = app.one(sql).await;
    scene.peer.wait_for_path("/work", 2).await;
    let says_so = format!("1 job was delivered three times or more and not done, job {id} ");
    says(&app, "jobs", &says_so, "edge.cancel(id)").await;
    says(&scene.db, "jobs", &says_so, "edge.attempts").await;
    is_well(&eve).await;
    app.one_with::<bool>("select edge.cancel($1)", &[&id]).await;
    nothing_with(&app, "jobs").await;
}
