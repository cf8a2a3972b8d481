//! What is too large is refused when it is queued, with a sentence that says what and how much.

use crate::scene::{Scene, ended, refused};

const GOOD: &str = "http://127.0.0.1:1/";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_with_the_limit() {
    let scene = Scene::start().await;
    let table = [
        ("edge.http_get_async($1 || repeat('x', 16384))", "more than the 16384 that a URL may have"),
        ("edge.http_get_async($1, jsonb_build_object('q', repeat('x', 16384)))", "the URL has 16406 bytes"),
        (
            "edge.http_get_async($1, headers => jsonb_build_object('x', repeat('v', 65536)))",
            "more than the 65536 bytes",
        ),
        (
            "edge.http_get_async($1, headers => (select jsonb_object_agg('h' || n, 'v') from generate_series(1, 40000) as n))",
            "the headers have more than the 65536 bytes",
        ),
        ("edge.http_async('PUT', $1, 'x', repeat('t', 65537))", "the headers have more than the 65536 bytes"),
        ("edge.http_get_async($1, metadata => to_jsonb(repeat('m', 65536)))", "more than the 65536 that it may have"),
        ("edge.http_get_async($1, metadata => to_jsonb(repeat('m', 1000000)))", "metadata has 10000"),
    ];
    for (expression, words) in table {
        let error = refused(&scene.db, expression, GOOD).await;
        assert!(error.sqlstate == "22023" && error.message.contains(words), "{expression}: {error}");
    }
    assert_eq!(scene.db.one::<i64>("select count(*) from edge.calls").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_just_small_enough_is_sent_whole() {
    let scene = Scene::start().await;
    let sql = "edge.http_get_async($1, headers => jsonb_build_object('x', repeat('v', 60000)),
                                   metadata => to_jsonb(repeat('m', 65000)))";
    let id = scene.call(sql, &format!("/{}", "p".repeat(16_000))).await;
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    assert_eq!(scene.peer.requests()[0].header("x").map(str::len), Some(60_000));
}
