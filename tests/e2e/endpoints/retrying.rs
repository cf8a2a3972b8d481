//! An endpoint's own policy of retries.

use crate::endpoints::{create, post};
use crate::harness::Reply;
use crate::scene::{Scene, ended};

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_says_how_often_and_how_soon_its_calls_are_tried_again() {
    let scene = Scene::start().await;
    create(&scene, ", retry => edge.retry_policy(max_attempts => 4, base => '50 ms', jitter => '0', factor => 1)")
        .await;
    scene.peer.on("/broken", Reply::status(503));
    let response = ended(&scene.db, post(&scene.db, "broken").await).await;
    assert_eq!((response.get::<_, &str>("state"), response.get::<_, i32>("attempts")), ("failed", 4));
    let at: Vec<_> = scene.peer.requests_for("/broken").iter().map(|request| request.at).collect();
    let pauses: Vec<_> = at.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    assert!(pauses.iter().all(|pause| *pause >= 50), "{pauses:?}");
    // The usual policy waits for a second and more; a busy machine may do so once or twice.
    assert!(pauses.iter().any(|pause| *pause < 900), "{pauses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_on_replaces_what_is_tried_again() {
    let scene = Scene::start().await;
    create(&scene, ", retry => edge.retry_policy(base => '10 ms', jitter => '0', retry_on => '{404,4xx}')").await;
    scene.peer.on("/missing", Reply::status(404)).on("/broken", Reply::status(503));
    assert_eq!(ended(&scene.db, post(&scene.db, "missing").await).await.get::<_, i32>("attempts"), 3);
    assert_eq!(ended(&scene.db, post(&scene.db, "broken").await).await.get::<_, i32>("attempts"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_s_own_limit_is_not_met_twice_unless_asked_for() {
    let scene = Scene::start().await;
    scene.peer.on("/limit", Reply::status(546));
    create(&scene, ", profile => 'supabase-pro', retry => '{\"base\": 0.01, \"jitter\": 0}'").await;
    assert_eq!(ended(&scene.db, post(&scene.db, "limit").await).await.get::<_, i32>("attempts"), 1);
    scene
        .db
        .exec("select edge.alter_endpoint('crm', retry => '{\"base\": 0.01, \"jitter\": 0, \"retry_on\": [\"546\"]}')")
        .await;
    assert_eq!(ended(&scene.db, post(&scene.db, "limit").await).await.get::<_, i32>("attempts"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_older_than_its_policy_allows_is_given_up() {
    let scene = Scene::start().await;
    create(&scene, ", retry => edge.retry_policy(max_age => '100 ms')").await;
    scene.db.exec("select edge.disable_endpoint('crm')").await;
    let id = post(&scene.db, "late").await;
    // The age counts from when it was queued, so that it is too old by the time the endpoint is enabled.
    scene.db.exec("select pg_sleep(0.2)").await;
    scene.db.exec("select edge.enable_endpoint('crm')").await;
    let response = ended(&scene.db, id).await;
    assert_eq!((response.get::<_, &str>("state"), response.get::<_, &str>("error_class")), ("expired", "expired"));
    assert_eq!(scene.peer.count("/late"), 0);
    let dead: i64 = scene.db.one("select id from edge.dead_letters").await;
    assert_eq!(dead, id, "it can be replayed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_age_of_a_delayed_call_counts_from_when_it_is_first_to_be_made() {
    let scene = Scene::start().await;
    create(&scene, ", retry => edge.retry_policy(max_age => '60 s')").await;
    // As if it had been queued an hour ago for a second from now. Nobody sends it before that is so.
    scene.db.exec("select edge.pause()").await;
    let id: i64 = scene
        .db
        .one("select edge.http_post_async('later', endpoint => 'crm', run_at => clock_timestamp() + interval '1 s')")
        .await;
    scene
        .db
        .exec(&format!("update edge_store.request set queued_at = now() - interval '1 hour' where id = {id}"))
        .await;
    scene.db.exec("select edge.resume()").await;
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_policies_are_made_and_checked_in_sql() {
    let scene = Scene::start().await;
    let policy: serde_json::Value = scene.db.one("select edge.retry_policy()").await;
    assert_eq!(
        (&policy["max_attempts"], policy["base"].as_f64(), policy["cap"].as_f64()),
        (&3.into(), Some(1.0), Some(3600.0))
    );
    for (sql, complaint) in [
        ("edge.retry_policy(max_attempts => 0)", "max_attempts"),
        ("edge.retry_policy(base => '-1 s')", "base"),
        ("edge.retry_policy(factor => 'NaN')", "factor"),
        ("edge.retry_policy(retry_on => '{teapot}')", "teapot"),
        ("edge.create_endpoint('x', 'https://example.com', retry => '\"never\"')", "never"),
        ("edge.create_endpoint('x', 'https://example.com', retry => '{\"tries\": 3}')", "tries"),
    ] {
        let refused = scene.db.fails(&format!("select {sql}")).await;
        assert_eq!(refused.sqlstate, "22023", "{sql}");
        assert!(refused.message.contains(complaint), "{sql}: {}", refused.message);
    }
}
