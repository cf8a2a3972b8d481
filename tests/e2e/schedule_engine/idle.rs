//! Schedules that are not due cost nothing.

use std::time::Duration;

use super::job::{Job, comes_true, reaches, tell};
use crate::faults::{SOON, rests_for};
use crate::harness::{Cluster, eventually};
use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn schedules_that_are_not_due_cost_no_transaction() {
    // An autovacuum worker would make transactions of its own.
    let scene = Scene::on(Cluster::builder().setting("autovacuum", "off")).await;
    for n in 0..200 {
        Job::new(&format!("rare {n}"), "0 0 1 1 *", &scene.peer.url("/")).write(&scene.db).await;
    }
    let id = Job::hourly("once", &scene.peer.url("/"))
        .with("passed", "clock_timestamp() - interval '1 hour'")
        .write(&scene.db)
        .await;
    tell(&scene.db).await;
    reaches(&scene.db, id, "succeeded", 1).await;
    comes_true(&scene.db, "all are planned", "select min(due_at) > clock_timestamp() from edge_store.schedule").await;
    // Looked at from another database, whose transactions do not count.
    let other = &scene.cluster.connect_as("postgres", "template1").await;
    drop(scene.db);
    // It counts its last transactions when it ends.
    let gone = "select not exists (select from pg_stat_activity where datname = 'postgres' and backend_type = 'client backend')";
    comes_true(other, "the session has ended", gone).await;
    // What the call came to is written within a second or so.
    let settled = || rests_for(other, Duration::from_secs(4));
    eventually("what was done before is counted", SOON, settled).await;
    assert!(rests_for(other, Duration::from_secs(8)).await, "a transaction was begun although nothing is due");
}
