//! Asking for a stream: the argument, what it makes of two calls with one key, and who sees what came.

use super::{data, event, sse, stream};
use crate::harness::Reply;
use crate::scene::{Scene, ended, refused};

#[tokio::test(flavor = "multi_thread")]
async fn every_function_that_makes_a_call_takes_a_format() {
    let scene = Scene::start().await;
    scene.peer.otherwise(|request| sse().send(event(&request.method)));
    let base = scene.peer.url("");
    scene.db.exec(&format!("select edge.create_endpoint('models', base_url => '{base}')")).await;
    for (expression, method) in [
        ("edge.http_post_async($1, stream => 'sse')", "POST"),
        ("edge.http_put_async($1, stream => 'sse')", "PUT"),
        ("edge.http_patch_async($1, stream => 'sse')", "PATCH"),
        ("edge.http_get_async($1, stream => 'sse')", "GET"),
        ("edge.http_delete_async($1, stream => 'sse')", "DELETE"),
        ("edge.http_async('REPORT', $1, stream => 'sse')", "REPORT"),
        ("edge.invoke(right($1, -1 - length($1) + 2), endpoint => 'models', stream => 'sse')", "POST"),
    ] {
        let id = scene.call(expression, "/x").await;
        assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded", "{expression}");
        assert_eq!(data(&scene.db, id).await, [method], "{expression}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_format_that_does_not_exist_is_refused() {
    let scene = Scene::start().await;
    for format in ["", "SSE", "json", "websocket"] {
        let error =
            refused(&scene.db, &format!("edge.http_get_async($1, stream => '{format}')"), "http://example.com/").await;
        assert_eq!(error.sqlstate, "22023", "{format}");
        assert_eq!(
            error.message,
            format!("there is no stream format \"{format}\"; there are sse, ndjson, raw and auto")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_read_in_another_way_is_another_request() {
    let scene = Scene::start().await;
    scene.peer.otherwise(|_| sse().send(event("one")));
    let url = scene.peer.url("/");
    let keyed = |stream: &str| format!("edge.http_get_async($1, idempotency_key => 'k', stream => {stream})");
    let id: i64 = scene.call(&keyed("'sse'"), "/").await;
    assert_eq!(scene.call(&keyed("'sse'"), "/").await, id);
    for other in ["'raw'", "null"] {
        assert_eq!(refused(&scene.db, &keyed(other), &url).await.sqlstate, "22023", "{other}");
    }
    ended(&scene.db, id).await;
    assert_eq!(scene.peer.count("/"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_streamed_as_well() {
    let scene = Scene::start().await;
    scene.peer.sequence("/", [Reply::status(400), sse().send(event("at last"))]);
    let id = stream(&scene, "/").await;
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "failed");
    let copy: i64 = scene.db.one_with("select edge.replay($1)", &[&id]).await;
    assert_eq!(ended(&scene.db, copy).await.get::<_, &str>("state"), "succeeded");
    assert_eq!(data(&scene.db, copy).await, ["at last"]);
    assert!(data(&scene.db, id).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_put_off_is_streamed_when_its_time_comes() {
    let scene = Scene::start().await;
    scene.peer.otherwise(|_| sse().send(event("one")));
    let id =
        scene.call("edge.http_get_async($1, stream => 'sse', run_at => clock_timestamp() + interval '1 s')", "/").await;
    ended(&scene.db, id).await;
    assert_eq!(data(&scene.db, id).await, ["one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_the_events_of_others() {
    let scene = Scene::start().await;
    scene.peer.otherwise(|_| sse().send(event("secret")));
    let id = stream(&scene, "/").await;
    ended(&scene.db, id).await;
    let other = scene.role("other").await;
    scene.db.exec("grant pg_read_all_data to other").await;
    assert_eq!(other.one_with::<i64>("select count(*) from edge.calls where id = $1", &[&id]).await, 0);
    for table in ["event", "stream"].map(str::to_owned).into_iter().chain((0..8).map(|slot| format!("event_{slot}"))) {
        let there: i64 = scene.db.one(&format!("select count(*) from edge_store.{table}")).await;
        assert_eq!(there, i64::from(matches!(table.as_str(), "event" | "event_0")), "{table}");
        let seen: i64 = other.one(&format!("select count(*) from edge_store.{table}")).await;
        assert_eq!(seen, 0, "{table}");
    }
    scene.db.exec("revoke pg_read_all_data from other").await;
    assert_eq!(other.fails("select * from edge_store.event").await.sqlstate, "42501");
    assert_eq!(other.fails("select * from edge_store.stream").await.sqlstate, "42501");
}
