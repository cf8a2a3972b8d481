//! The library, the dispatcher, and calls that wait.

use serde_json::json;

use super::{calls_are_old, endpoint, health, is_well, nothing_with, problem, problems_with, says};
use crate::faults::{SOON, all_ended, dispatcher};
use crate::harness::{Cluster, Gate, Reply, Stop, eventually};
use crate::scene::{Scene, ended};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_started_without_the_library_says_so() {
    let mut scene = Scene::start().await;
    let app = scene.role("app").await;
    is_well(&app).await;
    scene.db.exec("alter system set shared_preload_libraries = 'plpgsql'").await;
    scene.cluster.restart(Stop::Fast);
    for role in ["postgres", "app"] {
        let db = scene.cluster.connect_as(role, "postgres").await;
        assert_eq!(health(&db).await["ok"], false, "{role}");
        says(&db, "library", "the server was started without pg_edge", "shared_preload_libraries").await;
        let error = db.fails("select * from edge.problems").await;
        assert!(error.hint.contains("shared_preload_libraries"), "{error}");
    }
    let db = scene.cluster.connect().await;
    db.exec("alter system reset shared_preload_libraries").await;
    scene.cluster.restart(Stop::Fast);
    scene.db = scene.cluster.connect().await;
    is_well(&scene.db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_a_problem_that_says_since_when_calls_wait() {
    let scene = Scene::start().await;
    let app = scene.role("app").await;
    endpoint(&scene, "crm", "").await;
    scene.db.exec("select edge.pause()").await;
    says(&app, "dispatcher", "sending is paused: calls are queued, and none is sent", "edge.resume()").await;
    scene.db.exec("select edge.http_get_async('x', endpoint => 'crm')").await;
    scene.db.exec("select edge.http_get_async('x', endpoint => 'crm', run_at => now() + interval '1 day')").await;
    let since: String = scene.db.one("select date_trunc('second', min(queued_at))::text from edge.calls").await;
    says(&app, "dispatcher", &format!("the oldest that is due has been waiting since {since}"), "edge.resume()").await;
    calls_are_old(&scene).await;
    assert_eq!(problems_with(&app, "endpoint crm").await, [json!(null); 0], "the endpoint is in order");
    scene.db.exec("select edge.resume()").await;
    is_well(&app).await;
    // All may be well before the call is on the wire.
    scene.peer.wait_for_path("/x", 1).await;
    assert_eq!(scene.peer.count("/x"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_wait_for_long_are_a_problem_of_their_endpoint() {
    let scene = Scene::start().await;
    let app = scene.role("app").await;
    let gate = Gate::closed();
    scene.peer.on("/x", Reply::gate(&gate));
    endpoint(&scene, "crm", ", max_concurrency => 1").await;
    scene.db.exec("select edge.http_get_async('x', endpoint => 'crm') from generate_series(1, 3)").await;
    scene.peer.wait_for_path("/x", 1).await;
    is_well(&app).await;
    calls_are_old(&scene).await;
    says(&app, "endpoint crm", "more come than it takes", "max_concurrency =>").await;
    gate.open();
    all_ended(&scene.cluster, "postgres").await;
    is_well(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_beyond_what_memory_holds_are_found_where_they_wait() {
    // Of a thousand and more that an endpoint does not take, most wait on disk.
    let scene = Scene::on(Cluster::builder().setting("pg_edge.max_in_flight", "4")).await;
    let gate = Gate::closed();
    scene.peer.on("/x", Reply::gate(&gate));
    endpoint(&scene, "crm", ", max_concurrency => 1").await;
    scene.db.exec("select edge.http_get_async('x', endpoint => 'crm') from generate_series(1, 3000)").await;
    let parked = "select exists (select from edge_store.deferred where parked_on = 'crm')";
    eventually("calls wait on disk", SOON, || scene.db.one::<bool>(parked)).await;
    let newest = "update edge_store.request set queued_at = clock_timestamp() - interval '10 minutes'
                  where id in (select call_id from edge_store.deferred where parked_on = 'crm')";
    scene.db.exec(newest).await;
    says(&scene.db, "endpoint crm", "more come than it takes", "max_concurrency =>").await;
    scene.db.exec("select edge.cancel(id) from edge.calls").await;
    gate.open();
    nothing_with(&scene.db, "endpoint crm").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_is_not_made_in_time_is_a_problem_as_well() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    scene.peer.sequence("/x", [Reply::status(503), Reply::status(200)]).on("/busy", Reply::gate(&gate));
    endpoint(&scene, "crm", ", max_concurrency => 1, retry => edge.retry_policy(base => '5 s', jitter => '0')").await;
    let id: i64 = scene.db.one("select edge.http_get_async('x', endpoint => 'crm')").await;
    crate::scene::reaches(&scene.db, id, "retrying").await;
    scene.db.exec("select edge.http_get_async('busy', endpoint => 'crm')").await;
    scene.peer.wait_for_path("/busy", 1).await;
    // It waits for a place at its endpoint from then on.
    let due = "select due_at < clock_timestamp() from edge_store.deferred";
    eventually("the retry is due", SOON, || scene.db.one::<bool>(due)).await;
    scene.db.exec("update edge_store.deferred set due_at = clock_timestamp() - interval '10 minutes'").await;
    says(&scene.db, "endpoint crm", "calls to it have been waiting since", "max_concurrency =>").await;
    gate.open();
    ended(&scene.db, id).await;
    is_well(&scene.db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_origins_that_calls_wait_for_are_shown_to_monitors_alone() {
    let scene = Scene::on(Cluster::builder().setting("pg_edge.max_in_flight", "1")).await;
    let (app, monitor) = (scene.role("app").await, scene.role("watcher").await);
    scene.db.exec("grant pg_monitor to watcher").await;
    let gate = Gate::closed();
    scene.peer.on("/x", Reply::gate(&gate));
    for _ in 0..3 {
        crate::scene::get(&app, &scene.peer.url("/x")).await;
    }
    scene.peer.wait_for_path("/x", 1).await;
    calls_are_old(&scene).await;
    let origin = format!("endpoint {}", scene.peer.url(""));
    says(&monitor, &origin, "more come than it takes", "pg_edge.max_in_flight").await;
    is_well(&app).await;
    gate.open();
    all_ended(&scene.cluster, "postgres").await;
    nothing_with(&monitor, &origin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_endpoint_is_a_problem_once_calls_wait_for_it() {
    let scene = Scene::start().await;
    let app = scene.role("app").await;
    endpoint(&scene, "crm", "").await;
    scene.db.exec("select edge.disable_endpoint('crm')").await;
    is_well(&app).await;
    scene.db.exec("select edge.http_get_async('x', endpoint => 'crm')").await;
    says(&app, "endpoint crm", "it is disabled", "edge.enable_endpoint('crm') sends them").await;
    scene.db.exec("select edge.enable_endpoint('crm')").await;
    all_ended(&scene.cluster, "postgres").await;
    is_well(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_cannot_be_cleared_away_is_a_problem() {
    let scene = Scene::on(Cluster::builder().setting("pg_edge.retention", "7s")).await;
    dispatcher(&scene.cluster, "postgres").await;
    let (reader, app) = (scene.cluster.connect().await, scene.role("app").await);
    reader.exec("begin").await;
    // Whichever is the oldest, somebody reads it.
    reader.exec("select count(*) from edge_store.request").await;
    scene.db.exec("update edge_store.ring set advanced_at = advanced_at - interval '10 minutes'").await;
    let pid: i32 = reader.one("select pg_backend_pid()").await;
    says(&app, "retention", &format!("is held by process {pid}"), "pg_terminate_backend(pid)").await;
    reader.exec("commit").await;
    nothing_with(&app, "retention").await;
    reader.exec("begin").await;
    reader.exec("select count(*) from edge_store.request").await;
    reader.exec("create table users_own (n int)").await;
    reader.exec("prepare transaction 'p'").await;
    scene.db.exec("update edge_store.ring set advanced_at = advanced_at - interval '10 minutes'").await;
    says(&app, "retention", "a prepared transaction holds a lock", "ROLLBACK PREPARED").await;
    scene.db.exec("rollback prepared 'p'").await;
    is_well(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_nobody_has_set_is_a_problem_of_the_endpoints_that_need_it() {
    let scene = Scene::start().await;
    let app = scene.role("app").await;
    let headers = r#"{"a": "${secret:one} ${secret:two.b}", "b": "$${secret:none} ${file:x}", "c": "${secret:two.b}"}"#;
    endpoint(&scene, "crm", &format!(", headers => '{headers}'")).await;
    endpoint(&scene, "signed", ", signing_secrets => array['${secret:one}']").await;
    let needs = "it needs ${secret:one}, ${secret:two.b}, which nobody has set: every call to it fails";
    says(&app, "endpoint crm", needs, "edge.set_secret(name, value)").await;
    says(&app, "endpoint signed", "it needs ${secret:one}, which", "edge.replay_dead('signed')").await;
    scene.db.exec("select edge.set_secret('one', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')").await;
    nothing_with(&app, "endpoint signed").await;
    assert!(problem(&app, "endpoint crm").await["problem"].as_str().unwrap().contains("it needs ${secret:two.b},"));
    scene.db.exec("select edge.set_secret('two.b', 'value')").await;
    is_well(&app).await;
    scene.db.exec("select edge.drop_secret('two.b')").await;
    says(&app, "endpoint crm", "it needs ${secret:two.b}, which", "edge.set_secret(name, value)").await;
}
