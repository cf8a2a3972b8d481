//! Changing the course of calls: cancel, pause and resume.

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Reply, eventually};
use crate::scene::{Scene, ended, get, reaches};

/// Long enough that only a cancel ends the call within the test.
const FAR: &str = "edge.http_get_async($1, run_at => clock_timestamp() + interval '1 day')";

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_call_is_cancelled_and_never_sent() {
    let scene = Scene::start().await;
    let id = scene.call(FAR, "/never").await;
    // Another call has ended, so the delayed one has been seen and put off.
    let other = scene.get("/other").await;
    ended(&scene.db, other).await;
    assert!(cancel(&scene, id).await);
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, &str>("state"), "cancelled");
    assert_eq!(response.get::<_, &str>("error_class"), "cancelled");
    assert_eq!(response.get::<_, i32>("attempts"), 0);
    assert_eq!(scene.peer.count("/never"), 0);
    assert!(!cancel(&scene, id).await, "an ended call was cancelled");
    assert_eq!(
        scene.db.one::<i64>("select count(*) from edge.dead_letters").await,
        0,
        "a cancelled call is no dead letter"
    );
    assert_eq!(scene.db.one::<i64>("select count(*) from edge_store.deferred").await, 0);
    assert_eq!(scene.db.one::<i64>("select count(*) from edge_store.cancellation").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_between_two_tries_is_cancelled() {
    let scene = Scene::start().await;
    scene.peer.on("/busy", Reply::status(503).header("retry-after", "3600"));
    let id = scene.get("/busy").await;
    reaches(&scene.db, id, "retrying").await;
    assert!(cancel(&scene, id).await);
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, &str>("state"), "cancelled");
    assert_eq!(response.get::<_, i32>("attempts"), 1);
    assert_eq!(scene.peer.count("/busy"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_parked_behind_its_endpoint_is_cancelled() {
    let scene = Scene::start().await;
    scene.peer.on("/busy", Reply::status(503).header("retry-after", "3600"));
    let first = scene.get("/busy").await;
    reaches(&scene.db, first, "retrying").await;
    let parked = scene.get("/parked").await;
    eventually("the call is written down as parked", SERVER_DEADLINE, || async {
        scene.db.one::<i64>("select count(*) from edge_store.deferred where parked_on is not null").await == 1
    })
    .await;
    assert!(cancel(&scene, parked).await);
    assert_eq!(ended(&scene.db, parked).await.get::<_, &str>("state"), "cancelled");
    assert_eq!(scene.peer.count("/parked"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_on_the_wire_is_broken_off_and_its_connection_closed() {
    let scene = Scene::start().await;
    scene.peer.on("/hang", Reply::hang()).on("/drip", Reply::stream("text/plain").send("some").then_hang());
    let (hanging, dripping) = (scene.get("/hang").await, scene.get("/drip").await);
    scene.peer.wait_for(2).await;
    for id in [hanging, dripping] {
        reaches(&scene.db, id, "running").await;
        assert!(cancel(&scene, id).await);
        let response = ended(&scene.db, id).await;
        assert_eq!(response.get::<_, &str>("state"), "cancelled");
        assert_eq!(response.get::<_, i32>("attempts"), 1);
    }
    eventually("the peer sees the connections close", SERVER_DEADLINE, || async { scene.peer.in_flight() == 0 }).await;
    let next = scene.get("/next").await;
    assert_eq!(ended(&scene.db, next).await.get::<_, &str>("state"), "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_cancelled_by_the_transaction_that_queues_it_is_never_sent() {
    let scene = Scene::start().await;
    scene.db.exec("begin").await;
    let id = scene.get("/never").await;
    assert!(cancel(&scene, id).await);
    scene.db.exec("commit").await;
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "cancelled");
    assert_eq!(scene.peer.count("/never"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_is_rolled_back_changes_nothing() {
    let scene = Scene::start().await;
    // It cannot end before somebody has tried to cancel it.
    scene.db.exec("select edge.pause()").await;
    let id = scene.call("edge.http_get_async($1, run_at => clock_timestamp() + interval '1 s')", "/sent").await;
    scene.db.exec("begin").await;
    assert!(cancel(&scene, id).await);
    scene.db.exec("rollback").await;
    scene.db.exec("select edge.resume()").await;
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    assert_eq!(scene.peer.count("/sent"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_call_still_tells_its_callback() {
    let scene = Scene::start().await;
    scene
        .db
        .exec(
            "create table told (id bigint, state text);
             create function note(r edge.response) returns void language sql as 'insert into told values (r.id, r.state)'",
        )
        .await;
    let id = scene
        .call(
            "edge.http_get_async($1, run_at => clock_timestamp() + interval '1 day', on_complete => 'note')",
            "/never",
        )
        .await;
    assert!(cancel(&scene, id).await);
    eventually("the callback has run", SERVER_DEADLINE, || async {
        scene.db.maybe::<String>("select state from told").await.as_deref() == Some("cancelled")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_what_does_not_exist_is_false() {
    let scene = Scene::start().await;
    assert!(!cancel(&scene, 4711).await);
    assert_eq!(scene.db.one::<i64>("select count(*) from edge_store.cancellation").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_paused_nothing_is_sent_and_afterwards_everything() {
    let scene = Scene::start().await;
    let before = scene.get("/before").await;
    ended(&scene.db, before).await;
    assert!(scene.db.one::<bool>("select edge.pause()").await);
    assert!(!scene.db.one::<bool>("select edge.pause()").await, "it was paused already");
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(scene.get(&format!("/{number}")).await);
    }
    // The dispatcher has had its say about calls queued after the pause once it has ended one of them.
    let cancelled = ids.pop().expect("twenty calls");
    assert!(cancel(&scene, cancelled).await);
    ended(&scene.db, cancelled).await;
    assert_eq!(scene.peer.requests().len(), 1, "something was sent while paused");
    assert_eq!(scene.db.one::<String>("select state from edge.worker_status()").await, "paused");
    assert_eq!(scene.db.one::<i64>("select queue_depth from edge.worker_status()").await, 19);
    assert!(scene.db.one::<bool>("select edge.resume()").await);
    for id in ids {
        assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    }
    assert_eq!(scene.db.one::<String>("select state from edge.worker_status()").await, "running");
    assert_eq!(scene.db.one::<i64>("select queue_depth from edge.worker_status()").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_is_rolled_back_pauses_nothing() {
    let scene = Scene::start().await;
    scene.db.exec("begin; select edge.pause(); rollback").await;
    let id = get(&scene.db, &scene.peer.url("/sent")).await;
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
}

async fn cancel(scene: &Scene, id: i64) -> bool {
    scene.db.one_with("select edge.cancel($1)", &[&id]).await
}
