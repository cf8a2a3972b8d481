//! What sessions hear that LISTEN: a pointer to what they can read by then.

use serde_json::Value;

use super::{data, event, held, lands, sse, stream};
use crate::harness::{Db, Gate, Reply};
use crate::scene::{Scene, ended};

/// The next thing that a session hears.
async fn heard(db: &Db) -> (i64, i64, bool) {
    let notification = db.next_notification().await;
    assert_eq!(notification.channel(), "edge_stream");
    let said: Value = serde_json::from_str(notification.payload()).expect("it is JSON");
    let number = |name: &str| said[name].as_i64().expect("a number");
    (number("id"), number("seq"), said["done"].as_bool().expect("a boolean"))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_listens_can_read_what_he_hears_of() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    scene.peer.on("/", held(2, &gate));
    let listener = scene.cluster.connect().await;
    listener.exec("listen edge_stream").await;
    let id = stream(&scene, "/").await;
    let mut last = 0;
    while last < 2 {
        let (call, seq, done) = heard(&listener).await;
        assert_eq!((call, done), (id, false));
        assert!(seq > last, "{seq} after {last}");
        last = seq;
        let rows: i64 = listener
            .one_with("select count(*) from edge_store.single_event where call_id = $1 and seq <= $2", &[&id, &seq])
            .await;
        assert_eq!(rows, seq);
    }
    gate.open();
    loop {
        let (call, seq, done) = heard(&listener).await;
        assert_eq!((call, seq), (id, 3));
        if done {
            break;
        }
    }
    let state: Option<String> = listener.one_with("select edge.status($1)", &[&id]).await;
    assert_eq!(state.as_deref(), Some("succeeded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_queue_of_notifications_is_half_full_nobody_is_told_and_everything_else_goes_on() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    scene.peer.on("/", held(2, &gate)).on("/one", sse().send(event("one")));
    scene.db.exec("listen edge_stream").await;
    scene.cluster.fail_at("full_notification_queue", "stands");
    let id = stream(&scene, "/").await;
    lands(&scene.db, id, 2).await;
    gate.open();
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    assert_eq!(data(&scene.db, id).await, ["before 1", "before 2", "after"]);
    let said = || scene.cluster.log().matches("queue of notifications is half full").count();
    assert_eq!(said(), 1, "it is said once, not of each commit");
    // Once it is emptier they are told again, and of what came meanwhile they hear nothing.
    scene.cluster.fail_at("nothing", "stands");
    let next = stream(&scene, "/one").await;
    assert_eq!(heard(&scene.db).await.0, next);
    ended(&scene.db, next).await;
    scene.cluster.fail_at("full_notification_queue", "stands");
    let third = stream(&scene, "/one").await;
    assert_eq!(ended(&scene.db, third).await.get::<_, &str>("state"), "succeeded");
    assert_eq!(said(), 2, "another time is said again");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_told_of_every_call_that_was_to_be_streamed_and_of_no_other() {
    let scene = Scene::start().await;
    scene.db.exec("listen edge_stream").await;
    scene.peer.on("/refused", Reply::status(404)).on("/empty", sse()).on("/one", sse().send(event("one")));
    scene.get("/plain").await;
    for (path, last) in [("/refused", 0), ("/empty", 0), ("/one", 1)] {
        let id = stream(&scene, path).await;
        let end = loop {
            let (call, seq, done) = heard(&scene.db).await;
            assert_eq!(call, id, "{path}");
            if done {
                break seq;
            }
        };
        assert_eq!(end, last, "{path}");
    }
}
