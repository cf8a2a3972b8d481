//! What endpoints refuse is said where an administrator looks.

use super::{invoke, start};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Reply, eventually};
use crate::health::{health, is_well, nothing_with, problem};
use crate::scene::{Scene, ended};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_refused_is_a_problem_until_it_is_mended() {
    let (scene, _gateway) = start("supabase-pro").await;
    let app = scene.role("app").await;
    is_well(&app).await;
    scene.db.exec("select edge.alter_endpoint('default', headers => '{\"apikey\": \"sb_secret_wrong\"}')").await;
    let id = invoke(&app, "hello").await;
    let response = ended(&app, id).await;
    assert_eq!((response.get::<_, i32>("status_code"), response.get::<_, i32>("attempts")), (401, 1));
    let problem = problem(&app, "endpoint default").await;
    assert!(problem["problem"].as_str().unwrap().contains("UNAUTHORIZED_INVALID_JWT_FORMAT"), "{problem}");
    assert!(problem["advice"].as_str().unwrap().contains("every call with this key will fail"), "{problem}");
    let shown = "select key_refused_since is not null and last_error_at is not null from edge.stat_endpoints";
    assert!(app.one::<bool>(shown).await);
    let said: String = app.one("select last_error from edge.stat_endpoints").await;
    assert_eq!(said, response.get::<_, String>("error"));
    // It outlives the dispatcher that has heard of it.
    scene.db.exec("select pg_terminate_backend(pid) from edge.worker_status()").await;
    scene.db.exec("select edge.alter_endpoint('default', headers => '{\"apikey\": \"sb_secret_right\"}')").await;
    assert_eq!(ended(&app, invoke(&app, "hello").await).await.get::<_, &str>("state"), "succeeded");
    nothing_with(&app, "endpoint default").await;
    assert_eq!(app.one::<String>("select last_error from edge.stat_endpoints").await, said, "it is still the last one");
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_without_end_do_not_have_a_refused_key_forgotten() {
    let (scene, _gateway) = start("supabase-pro").await;
    scene.db.exec("select edge.alter_endpoint('default', headers => '{}')").await;
    ended(&scene.db, invoke(&scene.db, "hello").await).await;
    problem(&scene.db, "endpoint default").await;
    let since = "select key_refused_since::text from edge.stat_endpoints where endpoint = 'default'";
    let refused: String = scene.db.one(since).await;
    // More of them than there are rows in shared memory.
    scene
        .db
        .exec(
            "select edge.http_get_async(format('http://127.0.%s.%s:1/', n / 200, 1 + n % 200), max_attempts => 1)
             from generate_series(1, 700) as n",
        )
        .await;
    let left = "select count(*) = 0 from edge.calls where state not in ('succeeded', 'failed')";
    eventually("all have ended", SERVER_DEADLINE, || scene.db.one::<bool>(left)).await;
    let shown = "select count(*) >= 500 from edge.stat_endpoints where endpoint <> 'default'";
    eventually("their origins are shown", SERVER_DEADLINE, || scene.db.one::<bool>(shown)).await;
    problem(&scene.db, "endpoint default").await;
    assert_eq!(scene.db.maybe::<String>(since).await, Some(refused), "it is since the first refusal");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_was_dropped_is_no_problem() {
    let (scene, _gateway) = start("supabase-pro").await;
    scene.db.exec("select edge.alter_endpoint('default', headers => '{}')").await;
    ended(&scene.db, invoke(&scene.db, "hello").await).await;
    let problem = problem(&scene.db, "endpoint default").await;
    assert!(problem["problem"].as_str().unwrap().contains("UNAUTHORIZED_NO_AUTH_HEADER"), "{problem}");
    scene.db.exec("select edge.drop_endpoint('default')").await;
    nothing_with(&scene.db, "endpoint default").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breaker_that_is_open_and_a_pause_are_problems() {
    let scene = Scene::start().await;
    scene.peer.on("/down", Reply::status(500));
    scene.db.exec(&format!("select edge.create_endpoint('crm', '{}')", scene.peer.url(""))).await;
    for _ in 0..5 {
        scene.db.exec("select edge.http_post_async('down', endpoint => 'crm', max_attempts => 1)").await;
    }
    let of_crm = problem(&scene.db, "endpoint crm").await;
    assert!(of_crm["problem"].as_str().unwrap().ends_with("the peer answered 500 Internal Server Error"), "{of_crm}");
    scene.db.exec("select edge.pause()").await;
    assert!(problem(&scene.db, "dispatcher").await["advice"].as_str().unwrap().contains("edge.resume()"));
    assert_eq!(health(&scene.db).await["ok"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stream_says_of_its_failure_is_not_shown_to_others() {
    let scene = Scene::start().await;
    let error =
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"x\",\"message\":\"the patient's name\"}}\n\n";
    scene.peer.on("/", Reply::stream("text/event-stream").send("data: {\"type\":\"message_start\"}\n\n").send(error));
    let id = scene.call("edge.http_get_async($1, stream => 'sse')", "/").await;
    let said: String = ended(&scene.db, id).await.get("error");
    assert!(said.contains("the patient's name"), "{said}");
    let shown = "select last_error from edge.stat_endpoints";
    let shown = eventually("the error is shown", SERVER_DEADLINE, || scene.db.one::<Option<String>>(shown)).await;
    assert!(!shown.contains("patient"), "{shown}");
}
