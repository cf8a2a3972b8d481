//! The circuit breaker: what opens it, what it costs, and how it closes.

use crate::endpoints::{create, post};
use crate::faults::SOON;
use crate::harness::{Cluster, Reply, eventually};
use crate::scene::{Scene, ended};

async fn breaker(scene: &Scene) -> String {
    scene.db.one("select breaker from edge.stat_endpoints where endpoint = 'crm'").await
}

#[tokio::test(flavor = "multi_thread")]
async fn five_failures_open_it_its_calls_wait_without_losing_an_attempt_and_a_probe_closes_it() {
    let scene = Scene::on(Cluster::builder().setting("pg_edge.breaker_pause", "700ms")).await;
    create(&scene, ", retry => edge.retry_policy(max_attempts => 1)").await;
    scene.peer.on("/x", Reply::status(500));
    for _ in 0..5 {
        ended(&scene.db, post(&scene.db, "x").await).await;
    }
    // It stays open until a call probes, or shows that one may.
    eventually("it has opened", SOON, || async {
        scene.db.one::<i64>("select breaker_openings from edge.stat_endpoints").await == 1
    })
    .await;
    assert_ne!(breaker(&scene).await, "closed");
    scene.peer.on("/x", Reply::status(200)).forget();
    let mut calls = Vec::new();
    for _ in 0..10 {
        calls.push(post(&scene.db, "x").await);
    }
    for id in calls {
        let response = ended(&scene.db, id).await;
        assert_eq!((response.get::<_, &str>("state"), response.get::<_, i32>("attempts")), ("succeeded", 1));
    }
    let at: Vec<_> = scene.peer.requests_for("/x").iter().map(|request| request.at).collect();
    assert_eq!(at.len(), 10);
    eventually("it is closed", SOON, || async { breaker(&scene).await == "closed" }).await;
    // What is shown is brought up to date after whoever waits for an answer has been woken.
    let counts = "select format('%s %s %s %s %s', attempts, failures, succeeded, failed, breaker_openings) from edge.stat_endpoints";
    eventually("all is counted, and nothing twice", SOON, || async {
        scene.db.one::<String>(counts).await == "15 5 10 5 1"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_probe_opens_it_again() {
    let scene = Scene::on(Cluster::builder().setting("pg_edge.breaker_pause", "300ms")).await;
    create(&scene, ", retry => edge.retry_policy(max_attempts => 1)").await;
    scene.peer.on("/x", Reply::status(500));
    for _ in 0..5 {
        ended(&scene.db, post(&scene.db, "x").await).await;
    }
    ended(&scene.db, post(&scene.db, "x").await).await;
    eventually("it is open a second time", SOON, || async {
        scene.db.one::<i64>("select breaker_openings from edge.stat_endpoints").await == 2
    })
    .await;
    assert_eq!(scene.peer.count("/x"), 6, "five, and the probe");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_breaker_failures_zero_a_failing_endpoint_is_called_on() {
    let scene = Scene::on(Cluster::builder().setting("pg_edge.breaker_failures", "0")).await;
    scene.peer.on("/x", Reply::status(404));
    create(&scene, ", retry => edge.retry_policy(max_attempts => 1)").await;
    scene.peer.on("/x", Reply::status(500));
    for _ in 0..30 {
        ended(&scene.db, post(&scene.db, "x").await).await;
    }
    assert_eq!(breaker(&scene).await, "closed");
}
