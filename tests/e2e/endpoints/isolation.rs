//! A dead, a slow and a flapping endpoint beside a healthy one, and a storm of retries beside fresh work.

use std::time::{Duration, Instant};

use crate::endpoints::create;
use crate::faults::SOON;
use crate::harness::{Gate, Peer, Reply, eventually};
use crate::scene::{Scene, call, ended};

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_a_slow_and_a_flapping_endpoint_do_not_delay_a_healthy_one() {
    let scene = Scene::start().await;
    let (slow, flapping) = (Peer::start().await, Peer::start().await);
    let gate = Gate::closed();
    slow.on("/", Reply::gate(&gate));
    flapping.sequence("/", (0..400).map(|n| Reply::status(if n % 2 == 0 { 500 } else { 200 })));
    let dead = format!("http://{}/", Peer::refusing_address().await);
    for url in [dead, slow.url("/"), flapping.url("/")] {
        scene.db.exec(&format!("select edge.http_post_async('{url}') from generate_series(1, 300)")).await;
    }
    eventually("the slow one is full", SOON, || async { slow.in_flight() >= 64 }).await;
    let mut took = Vec::new();
    for _ in 0..50 {
        let began = Instant::now();
        let id = call(&scene.db, "edge.http_get_async($1)", &scene.peer.url("/healthy")).await;
        ended(&scene.db, id).await;
        took.push(began.elapsed());
    }
    took.sort();
    // Most of them: a single one may have met a busy machine. None waited for the slow endpoint, which still hangs.
    assert!(took[25] < Duration::from_secs(2), "healthy calls took {took:?}");
    gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_retries_does_not_starve_fresh_work() {
    let scene = Scene::on(crate::harness::Cluster::builder().setting("pg_edge.breaker_failures", "0")).await;
    let gate = Gate::closed();
    // Every retry hangs, so that only the places kept free for fresh work are left.
    let held = gate.clone();
    scene.peer.answer("/storm", move |request| match request.header("x-edge-attempt") {
        Some("1") => Reply::status(503),
        _ => Reply::gate(&held),
    });
    let policy = "edge.retry_policy(max_attempts => 2, base => '10 ms', jitter => '0')";
    create(&scene, &format!(", max_concurrency => 4, timeout => '10 min', retry => {policy}")).await;
    scene.db.exec("select edge.http_post_async('storm', endpoint => 'crm') from generate_series(1, 400)").await;
    eventually("retries take all they may", SOON, || async { scene.peer.in_flight() >= 3 }).await;
    for _ in 0..5 {
        let id: i64 = scene.db.one("select edge.http_post_async('fresh', endpoint => 'crm')").await;
        assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    }
    let retries = scene.peer.requests_for("/storm").into_iter();
    let hanging = retries.filter(|request| request.header("x-edge-attempt") != Some("1")).count();
    assert!(hanging <= 3, "retries take three quarters of the places, not {hanging}");
    gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_between_two_reads_of_waiting_calls_strands_none_of_them() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    scene.peer.on("/x", Reply::gate(&gate));
    create(&scene, ", max_concurrency => 4, timeout => '10 min'").await;
    scene.db.exec("select edge.http_post_async('x', endpoint => 'crm') from generate_series(1, 300)").await;
    eventually("most wait on disk", SOON, || async {
        scene.db.one::<i64>("select count(*) from edge_store.deferred where parked_on = 'crm'").await > 250
    })
    .await;
    scene.cluster.fail_at("between_refills", "error");
    gate.open();
    crate::faults::all_ended(&scene.cluster, "postgres").await;
    assert!(!scene.cluster.failpoint_is_armed(), "the error came");
    assert_eq!(scene.peer.count("/x"), 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_wait_on_disk_for_a_slow_endpoint_are_not_written_again_and_again() {
    let scene = Scene::start().await;
    create(&scene, ", max_rate => 2").await;
    scene.db.exec("select edge.http_post_async('x', endpoint => 'crm') from generate_series(1, 300)").await;
    eventually("some have gone out", SOON, || async { scene.peer.count("/x") >= 12 }).await;
    let updates = "select pg_stat_get_tuples_updated('edge_store.deferred'::regclass)";
    let updated: i64 = scene.db.one(updates).await;
    assert!(updated < 30, "{updated} rows were written again");
}
