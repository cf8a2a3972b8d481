//! Jobs in other places than where they were queued: copies of a database, and standbys.

use serde_json::{Value, json};

use super::{WORK, delivery, is_accepted, job, nothing_is_left, start};
use crate::faults::dispatcher;
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::eventually;
use crate::scene::{Scene, ended};

#[tokio::test(flavor = "multi_thread")]
async fn the_jobs_of_a_copied_database_are_those_of_the_original() {
    let scene = start().await;
    scene.cluster.create_database("app").await;
    let app = scene.cluster.create_extension("app").await;
    app.rows_with("select edge.create_endpoint('default', $1)", &[&scene.peer.url("")]).await;
    let id = job(&app, "").await;
    is_accepted(&app, id).await;
    drop(app);
    eventually("app is copied", SERVER_DEADLINE, || async {
        scene.db.try_exec("create database copy template app").await.is_ok()
    })
    .await;
    let copy = scene.cluster.connect_as("postgres", "copy").await;
    let told = delivery(&scene, 1).await;
    assert!(told.is_worthless(&copy).await, "the copy takes a report for the original");
    // Something to do wakes a dispatcher in it.
    copy.rows_with("select edge.http_get_async($1)", &[&scene.peer.url("/")]).await;
    let sql = "select edge.status($1) = 'cancelled' and not exists (select from edge_store.job)";
    eventually("the copy has left the job alone", SERVER_DEADLINE, || async {
        copy.one_with::<bool>(sql, &[&id]).await
    })
    .await;
    assert!(told.is_worthless(&copy).await, "the copy takes a report for the original");
    let app = scene.cluster.connect_as("postgres", "app").await;
    assert_eq!(app.one_with::<String>("select edge.status($1)", &[&id]).await, "accepted");
    assert!(told.complete(&app, json!("here")).await);
    assert_eq!(ended(&app, id).await.get::<_, Value>("json"), json!("here"));
    assert_eq!(scene.peer.count(WORK), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_job_goes_on_on_a_promoted_standby() {
    let mut scene = start().await;
    let id = job(&scene.db, "deadline => '1 hour'").await;
    is_accepted(&scene.db, id).await;
    let mut standby = scene.cluster.basebackup_standby();
    let told = delivery(&scene, 1).await;
    assert!(told.heartbeat(&scene.db, Some(json!("half"))).await);
    standby.catch_up_with(&scene.cluster).await;
    let follower = standby.connect().await;
    assert_eq!(follower.one_with::<String>("select edge.status($1)", &[&id]).await, "accepted");
    let refused = follower.fails(&format!("select edge.complete({id}, '{}')", told.token)).await;
    assert_eq!(refused.sqlstate, "25006", "{refused}");
    drop(follower);
    let Scene { cluster, peer, .. } = &mut scene;
    cluster.kill_postmaster();
    standby.promote();
    dispatcher(&standby, "postgres").await;
    let db = standby.connect().await;
    assert_eq!(db.one_with::<String>("select edge.status($1)", &[&id]).await, "accepted");
    assert!(told.complete(&db, json!("over there")).await);
    assert_eq!(ended(&db, id).await.get::<_, Value>("json"), json!("over there"));
    assert_eq!(peer.count(WORK), 1);
    nothing_is_left(&db).await;
}
