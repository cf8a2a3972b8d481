//! How fast and how many at once.

use std::time::{Duration, Instant};

use crate::endpoints::create;
use crate::faults::{SOON, all_ended};
use crate::harness::{Gate, Reply, eventually};
use crate::scene::Scene;

async fn queue(scene: &Scene, calls: usize) {
    scene
        .db
        .exec(&format!("select edge.http_post_async('x', endpoint => 'crm') from generate_series(1, {calls})"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_second_sees_more_calls_than_max_rate() {
    let scene = Scene::start().await;
    create(&scene, ", max_rate => 20").await;
    // From before the first can go out until the last has come: however late the peer notes either, it is no less.
    let began = Instant::now();
    queue(&scene, 60).await;
    all_ended(&scene.cluster, "postgres").await;
    let at: Vec<_> = scene.peer.requests_for("/x").iter().map(|request| request.at).collect();
    assert_eq!(at.len(), 60);
    let took = *at.iter().max().unwrap() - began;
    assert!(took >= Duration::from_millis(2_600), "60 calls at 20 a second came within {took:?}");
    assert!(took <= Duration::from_secs(30), "60 calls at 20 a second took {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_rate_takes_effect_at_once() {
    let scene = Scene::start().await;
    create(&scene, ", max_rate => 0.1").await;
    queue(&scene, 50).await;
    eventually("the first is sent", SOON, || async { scene.peer.count("/x") >= 1 }).await;
    scene.db.exec("select edge.alter_endpoint('crm', max_rate => 1000)").await;
    all_ended(&scene.cluster, "postgres").await;
    assert_eq!(scene.peer.count("/x"), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_calls_are_on_the_wire_than_max_concurrency() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    scene.peer.on("/x", Reply::gate(&gate));
    create(&scene, ", max_concurrency => 3").await;
    queue(&scene, 40).await;
    eventually("three are on the wire", SOON, || async { scene.peer.in_flight() == 3 }).await;
    gate.open();
    all_ended(&scene.cluster, "postgres").await;
    assert_eq!(scene.peer.most_in_flight(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_parks_the_endpoint_also_when_no_attempt_is_left() {
    let scene = Scene::start().await;
    scene.peer.on("/busy", Reply::status(429).header("retry-after", "600"));
    create(&scene, ", retry => edge.retry_policy(max_attempts => 1)").await;
    let busy: i64 = scene.db.one("select edge.http_post_async('busy', endpoint => 'crm')").await;
    assert_eq!(crate::scene::ended(&scene.db, busy).await.get::<_, &str>("state"), "failed");
    let parked = "select parked_until > now() + interval '300 s' from edge.stat_endpoints where endpoint = 'crm'";
    eventually("it is parked", SOON, || async { scene.db.maybe::<bool>(parked).await == Some(true) }).await;
    let waits: i64 = scene.db.one("select edge.http_post_async('x', endpoint => 'crm')").await;
    let other = scene.get("/other").await;
    crate::scene::ended(&scene.db, other).await;
    assert_eq!(scene.peer.count("/x"), 0);
    // Whoever disables and enables it says that it has been mended.
    scene.db.exec("select edge.disable_endpoint('crm')").await;
    eventually("it is disabled", SOON, || async {
        scene.db.one::<String>("select state from edge.stat_endpoints where endpoint = 'crm'").await == "disabled"
    })
    .await;
    scene.db.exec("select edge.enable_endpoint('crm')").await;
    assert_eq!(crate::scene::ended(&scene.db, waits).await.get::<_, &str>("state"), "succeeded");
}
