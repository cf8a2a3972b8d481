//! What is tried again, how often, and not before when.

use std::time::{Duration, SystemTime};

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, Gate, Peer, Reply, eventually};
use crate::scene::{Scene, ended, get};

#[tokio::test(flavor = "multi_thread")]
async fn the_default_policy_decides_by_status() {
    let scene = Scene::on(Cluster::builder().setting("pg_edge.breaker_failures", "0")).await;
    let retried = [408, 425, 429, 500, 502, 503, 504, 507, 520, 599];
    let succeeded = [200, 201, 202, 204, 206, 299];
    let failed = [300, 301, 302, 304, 307, 400, 401, 403, 404, 405, 409, 410, 413, 422, 451, 499, 501, 505, 600, 999];
    let mut calls = Vec::new();
    for (statuses, state, tries) in
        [(&retried[..], "failed", 2), (&succeeded[..], "succeeded", 1), (&failed[..], "failed", 1)]
    {
        for status in statuses {
            let path = format!("/{status}");
            scene.peer.on(&path, Reply::status(*status).header("location", "/elsewhere"));
            let id = scene.call("edge.http_get_async($1, max_attempts => 2)", &path).await;
            calls.push((id, path, i32::from(*status), state, tries));
        }
    }
    for (id, path, status, state, tries) in calls {
        let response = ended(&scene.db, id).await;
        assert_eq!(response.get::<_, &str>("state"), state, "{path}");
        assert_eq!(response.get::<_, i32>("status_code"), status, "{path}");
        assert_eq!(response.get::<_, i32>("attempts"), tries, "{path}");
        assert_eq!(i32::try_from(scene.peer.count(&path)).unwrap(), tries, "{path}");
    }
    assert_eq!(scene.peer.count("/elsewhere"), 0, "a redirect was followed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_tried_three_times_with_growing_pauses() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    scene.peer.on("/down", Reply::text(503, "down").header("x-why", "tired").behind(&gate));
    let id = scene.get("/down").await;
    scene.peer.wait_for(1).await;
    // During a pause it is not tried again, however long this test takes to look.
    scene.db.exec("select edge.pause()").await;
    gate.open();
    crate::scene::reaches(&scene.db, id, "retrying").await;
    scene.db.exec("select edge.resume()").await;
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, &str>("state"), "failed");
    assert_eq!(response.get::<_, i32>("attempts"), 3);
    assert_eq!(response.get::<_, &str>("error_class"), "http");
    assert_eq!(response.get::<_, &str>("error"), "the peer answered 503 Service Unavailable");
    assert_eq!(response.get::<_, &str>("body"), "down");
    assert_eq!(response.get::<_, serde_json::Value>("headers")["x-why"], "tired");
    let at: Vec<_> = scene.peer.requests().iter().map(|request| request.at).collect();
    assert_eq!(at.len(), 3);
    assert!(at[1] - at[0] >= Duration::from_secs(1), "the second try came after {:?}", at[1] - at[0]);
    assert!(at[2] - at[1] >= Duration::from_secs(2), "the third try came after {:?}", at[2] - at[1]);
    let rows = "select format('%s/%s/%s/%s', attempt, status_code, error_class, retry_at > started_at)
                from edge.attempts where call_id = $1 order by attempt";
    let attempts: Vec<String> = scene.db.rows_with(rows, &[&id]).await.iter().map(|row| row.get(0)).collect();
    assert_eq!(attempts, ["1/503/http/t", "2/503/http/t", "3/503/http/"]);
    assert_eq!(scene.db.column::<i64>("select id from edge.dead_letters").await, [id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_succeeds_in_the_end_has_succeeded() {
    let scene = Scene::start().await;
    scene.peer.sequence("/flaky", [Reply::status(500), Reply::text(200, "at last")]);
    let id = scene.get("/flaky").await;
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, &str>("state"), "succeeded");
    assert_eq!(response.get::<_, &str>("body"), "at last");
    assert_eq!(response.get::<_, i32>("attempts"), 2);
    assert_eq!(response.get::<_, Option<&str>>("error"), None);
    assert_eq!(scene.db.one::<i64>("select count(*) from edge.dead_letters").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn max_attempts_of_one_never_tries_again() {
    let scene = Scene::start().await;
    scene.peer.on("/down", Reply::status(503));
    let id = scene.call("edge.http_get_async($1, max_attempts => 1)", "/down").await;
    assert_eq!(ended(&scene.db, id).await.get::<_, i32>("attempts"), 1);
    assert_eq!(scene.peer.count("/down"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_in_seconds_parks_the_whole_endpoint() {
    let scene = Scene::start().await;
    // One that asks to be left alone for longer than this test takes.
    let parked = Peer::start().await;
    parked.on("/busy", Reply::status(429).header("retry-after", "3600"));
    let busy = get(&scene.db, &parked.url("/busy")).await;
    crate::scene::reaches(&scene.db, busy, "retrying").await;
    get(&scene.db, &parked.url("/neighbour")).await;
    let elsewhere = Peer::start().await;
    elsewhere.on("/", Reply::status(200));
    let free = get(&scene.db, &elsewhere.url("/")).await;
    ended(&scene.db, free).await;
    assert_eq!(parked.count("/neighbour"), 0, "the endpoint asked to be left alone");
    // And one that does so for a moment.
    scene.peer.sequence("/busy", [Reply::status(429).header("retry-after", "4"), Reply::status(200)]);
    let id = scene.get("/busy").await;
    let tried = "select exists (select from edge.attempts where call_id = $1)";
    eventually("it was tried", SERVER_DEADLINE, || async { scene.db.one_with::<bool>(tried, &[&id]).await }).await;
    let neighbour = scene.get("/neighbour").await;
    ended(&scene.db, neighbour).await;
    ended(&scene.db, id).await;
    let first = scene.peer.requests_for("/busy");
    let next = scene.peer.requests_for("/neighbour");
    // The peer's clock starts before ours does, so not a moment is to be forgiven.
    assert!(
        next[0].at - first[0].at >= Duration::from_secs(4),
        "the neighbour came after {:?}",
        next[0].at - first[0].at
    );
    assert!(
        first[1].at - first[0].at >= Duration::from_secs(4),
        "the retry came after {:?}",
        first[1].at - first[0].at
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_as_a_date_is_a_lower_bound_too() {
    let scene = Scene::start().await;
    let until = SystemTime::now() + Duration::from_secs(6);
    let date = httpdate::fmt_http_date(until);
    scene.peer.sequence("/busy", [Reply::status(503).header("retry-after", &date), Reply::status(200)]);
    let id = scene.get("/busy").await;
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, &str>("state"), "succeeded");
    let sql = "select started_at >= $2::text::timestamptz from edge.attempts where call_id = $1 and attempt = 2";
    assert!(scene.db.one_with::<bool>(sql, &[&id, &date]).await, "the retry came before {date}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_wrong_on_the_way_is_tried_again_and_named() {
    let scene = Scene::start().await;
    scene.peer.sequence(
        "/cut",
        [Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123").then_reset(), Reply::status(200)],
    );
    scene.peer.sequence("/slow", [Reply::hang(), Reply::status(200)]);
    scene.peer.sequence("/nonsense", [Reply::raw("220 smtp ready\r\n"), Reply::status(200)]);
    let refusing = format!("http://{}/", Peer::refusing_address().await);
    let quick = "edge.http_get_async($1, timeout => '5 s', max_attempts => 2)";
    let calls = [
        (scene.call("edge.http_get_async($1)", "/cut").await, "succeeded", "protocol"),
        (scene.call("edge.http_get_async($1)", "/nonsense").await, "succeeded", "protocol"),
        (scene.call(quick, "/slow").await, "succeeded", "timeout"),
        (
            crate::scene::call(&scene.db, "edge.http_get_async($1, max_attempts => 2)", &refusing).await,
            "failed",
            "connect",
        ),
        (
            crate::scene::call(&scene.db, "edge.http_get_async($1, max_attempts => 2)", "http://no.such.host.invalid/")
                .await,
            "failed",
            "dns",
        ),
    ];
    for (id, state, class) in calls {
        let response = ended(&scene.db, id).await;
        assert_eq!(response.get::<_, &str>("state"), state, "{class}");
        assert_eq!(response.get::<_, i32>("attempts"), 2, "{class}");
        let sql = "select error_class || '|' || (error <> '') from edge.attempts where call_id = $1 and attempt = 1";
        assert_eq!(scene.db.one_with::<String>(sql, &[&id]).await, format!("{class}|true"));
    }
}
