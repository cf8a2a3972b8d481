//! One key, one call: within the window, per owner, and only if the transaction that took it commits.

use crate::harness::Cluster;
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::eventually;
use crate::scene::{Scene, call, ended, refused};

const KEYED: &str = "edge.http_post_async($1, '{\"n\": 1}', idempotency_key => 'k')";

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_under_the_same_key_is_the_same_call() {
    let scene = Scene::start().await;
    let first = scene.call(KEYED, "/once").await;
    assert_eq!(scene.call(KEYED, "/once").await, first);
    ended(&scene.db, first).await;
    assert_eq!(scene.call(KEYED, "/once").await, first, "the key outlives the call");
    let last = scene.get("/last").await;
    ended(&scene.db, last).await;
    assert_eq!(scene.peer.count("/once"), 1);
    assert_eq!(scene.peer.requests_for("/once")[0].header("idempotency-key"), Some("k"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_different_request_under_the_same_key_is_refused() {
    let scene = Scene::start().await;
    let first = scene.call(KEYED, "/once").await;
    let url = scene.peer.url("/once");
    for other in [
        "edge.http_post_async($1, '{\"n\": 2}', idempotency_key => 'k')",
        "edge.http_put_async($1, '{\"n\": 1}', idempotency_key => 'k')",
        "edge.http_post_async($1 || '/2', '{\"n\": 1}', idempotency_key => 'k')",
        "edge.http_post_async($1, '{\"n\": 1}', headers => '{\"x-h\": \"v\"}', idempotency_key => 'k')",
        "edge.http_post_async($1, '{\"n\": 1}', params => '{\"p\": 1}', idempotency_key => 'k')",
    ] {
        let error = refused(&scene.db, other, &url).await;
        assert_eq!(error.sqlstate, "22023", "{other}");
        assert_eq!(
            error.message,
            format!("idempotency key \"k\" belongs to call {first}, which is a different request")
        );
        assert!(error.hint.contains("pg_edge.idempotency_window"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_two_owners_are_two_keys() {
    let scene = Scene::start().await;
    let ada = scene.role("ada").await;
    let bob = scene.role("bob").await;
    let url = scene.peer.url("/each");
    let (first, second) = (call(&ada, KEYED, &url).await, call(&bob, KEYED, &url).await);
    assert_ne!(first, second);
    ended(&ada, first).await;
    ended(&bob, second).await;
    assert_eq!(scene.peer.count("/each"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_rolled_back_is_free() {
    let scene = Scene::start().await;
    scene.db.exec("begin").await;
    let undone = scene.call(KEYED, "/undone").await;
    scene.db.exec("rollback").await;
    let kept = scene.call(KEYED, "/kept").await;
    assert_ne!(undone, kept);
    ended(&scene.db, kept).await;
    assert_eq!((scene.peer.count("/undone"), scene.peer.count("/kept")), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_waits_to_see_whether_the_other_keeps_the_key() {
    for (end, same) in [("commit", true), ("rollback", false)] {
        let scene = Scene::start().await;
        let other = scene.cluster.connect().await;
        scene.db.exec("begin").await;
        let first = scene.call(KEYED, "/once").await;
        let url = scene.peer.url("/once");
        let second = tokio::spawn(async move { call(&other, KEYED, &url).await });
        eventually("the other session waits", SERVER_DEADLINE, || async {
            scene.cluster.psql("select count(*) from pg_locks where not granted") == "1"
        })
        .await;
        scene.db.exec(end).await;
        let second = second.await.expect("the other session lives");
        assert_eq!(second == first, same, "after {end}");
        ended(&scene.db, second).await;
        assert_eq!(scene.peer.count("/once"), 1, "after {end}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_with_an_old_snapshot_is_told_whose_the_key_is() {
    let scene = Scene::start().await;
    let other = scene.cluster.connect().await;
    scene.db.exec("begin isolation level repeatable read; select count(*) from edge.calls").await;
    let first = call(&other, KEYED, &scene.peer.url("/once")).await;
    // Its snapshot cannot see the row that stands in its way: Postgres' own answer to that is 40001, try again.
    let error = refused(&scene.db, KEYED, &scene.peer.url("/once")).await;
    assert_eq!(error.sqlstate, "40001", "{error}");
    scene.db.exec("rollback").await;
    assert_eq!(scene.call(KEYED, "/once").await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_window_a_key_names_a_new_call() {
    let scene = Scene::on(Cluster::builder().setting("pg_edge.idempotency_window", "1s")).await;
    let first = scene.call(KEYED, "/again").await;
    ended(&scene.db, first).await;
    let second = eventually("the window is over", SERVER_DEADLINE, || async {
        Some(scene.call(KEYED, "/again").await).filter(|id| *id != first)
    })
    .await;
    ended(&scene.db, second).await;
    assert_eq!(scene.peer.count("/again"), 2);
}
