//! What is sent, and what is refused before it is.

use serde_json::json;

use super::{request, response, start};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Reply, eventually};
use crate::scene::refused;

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_request_arrives_as_it_was_made() {
    let scene = start().await;
    let get = r#"net.http_get(url := $1, params := '{"b": "x y&z", "a": 1.50}', headers := '{"x-n": 7}')"#;
    let post = r#"net.http_post($1, '{"n": 1.50}', params := '{"q": "1"}', headers := '{"X-Key": "k"}')"#;
    let delete = r#"net.http_delete($1, body := '{"gone": true}')"#;
    for (expression, path) in [(get, "/get?first=0"), (post, "/post"), (delete, "/delete")] {
        let id = request(&scene, expression, path).await;
        assert_eq!(response(&scene.db, id).await.get::<_, i32>("status_code"), 200);
        assert_eq!(scene.db.one_with::<i64>("select count(*) from edge.calls where id = $1", &[&id]).await, 1);
    }
    let got = &scene.peer.requests_for("/get")[0];
    assert_eq!((got.method.as_str(), got.query.as_str()), ("GET", "first=0&a=1.50&b=x%20y%26z"));
    assert_eq!((got.header("x-n"), got.body.len()), (Some("7"), 0));
    let posted = &scene.peer.requests_for("/post")[0];
    assert_eq!((posted.method.as_str(), posted.query.as_str(), posted.text()), ("POST", "q=1", r#"{"n": 1.50}"#));
    assert_eq!((posted.header("x-key"), posted.header("content-type")), (Some("k"), Some("application/json")));
    let deleted = &scene.peer.requests_for("/delete")[0];
    assert_eq!((deleted.method.as_str(), deleted.text()), ("DELETE", r#"{"gone": true}"#));
    assert_eq!(deleted.header("content-type"), Some("application/json"));
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_and_bodies_that_are_null_or_empty_are_left_out() {
    let scene = start().await;
    let id =
        request(&scene, r#"net.http_post($1, null, headers := '{"x-null": null, "x-empty": "", "x-a": "1"}')"#, "/")
            .await;
    response(&scene.db, id).await;
    let id = request(&scene, "net.http_get($1, null, null)", "/nulls").await;
    response(&scene.db, id).await;
    let sent = &scene.peer.requests_for("/")[0];
    assert_eq!((sent.header("x-null"), sent.header("x-empty"), sent.header("x-a")), (None, None, Some("1")));
    assert_eq!((sent.body.len(), sent.header("content-type")), (0, Some("application/json")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_type_that_is_json_may_say_more_of_it() {
    let scene = start().await;
    for (n, kind) in ["application/json; charset=utf-8", "Application/JSON ;a=b"].iter().enumerate() {
        let headers = json!({"content-type": kind});
        let path = format!("/{n}");
        let id = request(&scene, &format!("net.http_post($1, headers := '{headers}')"), &path).await;
        assert_eq!(response(&scene.db, id).await.get::<_, i32>("status_code"), 200);
        assert_eq!(scene.peer.requests_for(&path)[0].header("content-type"), Some(*kind));
    }
    for kind in ["text/plain", "application/jsonl", "text/x; application/json"] {
        let headers = json!({"Content-Type": kind});
        let expression = format!("net.http_post($1, headers := '{headers}')");
        let error = refused(&scene.db, &expression, &scene.peer.url("/")).await;
        assert!(error.sqlstate == "22023" && error.message.contains("must be \"application/json\""), "{kind}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_is_refused_when_it_is_asked_for() {
    let scene = start().await;
    for (url, words) in [
        ("localhost:6666", "invalid URL \"localhost:6666\": Unsupported URL scheme"),
        ("/x", "invalid URL \"/x\": Bad scheme"),
        ("ftp://host/x", "Unsupported URL scheme"),
        ("http://ho st/", "Malformed input to a URL function"),
        ("http://[::/", "Bad hostname"),
        ("http://host:99999/", "Port number was not a decimal number between 0 and 65535"),
    ] {
        let error = refused(&scene.db, "net.http_get($1)", url).await;
        assert!(error.sqlstate == "22023" && error.message.contains(words), "{url}: {error}");
    }
    let url = scene.peer.url("/");
    for (expression, sqlstate, words) in [
        ("net.http_get(nullif($1, $1))", "23502", "null value in column \"url\""),
        ("net.http_get($1, timeout_milliseconds := null)", "23502", "null value in column \"timeout_milliseconds\""),
        (
            r#"net.http_post($1, headers := '{"Content-Type": "text/plain"}')"#,
            "22023",
            "Content-Type header must be \"application/json\"",
        ),
        (r#"net.http_get($1, headers := '{"x": "a\r\nb: c"}')"#, "22023", "header"),
        ("net.http_get($1, params := '[]')", "22023", "non-object"),
    ] {
        let error = refused(&scene.db, expression, &url).await;
        assert!(error.sqlstate == sqlstate && error.message.contains(words), "{expression}: {error}");
    }
    let patch =
        "insert into net.http_request_queue (method, url, timeout_milliseconds) values ('PATCH', 'http://h/', 1)";
    assert_eq!(scene.db.fails(patch).await.sqlstate, "23514");
    assert!(scene.peer.requests().is_empty());
    assert_eq!(scene.db.one::<i64>("select count(*) from net.http_request_queue").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_sent_after_its_commit_only_and_once() {
    let scene = start().await;
    scene.peer.on("/broken", Reply::status(500));
    let get = |path: &str| format!("select net.http_get('{}')", scene.peer.url(path));
    scene.db.exec(&format!("begin; {}; rollback", get("/rolled-back"))).await;
    scene.db.exec(&format!("begin; savepoint s; {}; rollback to s; {}; commit", get("/undone"), get("/kept"))).await;
    let id = request(&scene, "net.http_get($1)", "/broken").await;
    let answer = response(&scene.db, id).await;
    assert_eq!(answer.get::<_, i32>("status_code"), 500);
    super::all_stored(&scene.db).await;
    assert_eq!(scene.peer.wait_for_path("/kept", 1).await.len(), 1);
    assert_eq!((scene.peer.count("/rolled-back"), scene.peer.count("/undone"), scene.peer.count("/broken")), (0, 0, 1));
    // It failed for good, and its response says with which status.
    assert_eq!(scene.db.one_with::<String>("select edge.status($1)", &[&id]).await, "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_users_write_into_the_queue_and_take_out_of_it_are_understood() {
    let scene = start().await;
    scene.db.exec("select edge.pause()").await;
    let insert = format!(
        "insert into net.http_request_queue (method, url, headers, timeout_milliseconds)
         select 'get', '{}' || n, '{{\"x-own\": \"1\"}}', 5000 from generate_series(1, 3) as n returning id",
        scene.peer.url("/row/")
    );
    let ids: Vec<i64> = scene.db.column(&insert).await;
    scene.db.exec(&format!("delete from net.http_request_queue where id = {}", ids[1])).await;
    scene.db.exec("select edge.resume()").await;
    for id in [ids[0], ids[2]] {
        assert_eq!(response(&scene.db, id).await.get::<_, i32>("status_code"), 200);
    }
    assert_eq!(scene.peer.requests_for("/row/1")[0].header("x-own"), Some("1"));
    crate::scene::reaches(&scene.db, ids[1], "cancelled").await;
    scene.db.exec("select edge.pause()").await;
    let id = request(&scene, "net.http_get($1)", "/truncated").await;
    scene.db.exec("truncate net.http_request_queue; select edge.resume()").await;
    crate::scene::reaches(&scene.db, id, "cancelled").await;
    assert_eq!((scene.peer.count("/row/2"), scene.peer.count("/truncated")), (0, 0));
    let left = "select count(*) = 0 from edge_store.callback";
    eventually("all outcomes are dealt with", SERVER_DEADLINE, || scene.db.one::<bool>(left)).await;
    let gone = format!("select count(*) from net._http_response where id in ({}, {id})", ids[1]);
    assert_eq!(scene.db.one::<i64>(&gone).await, 0, "nobody awaits them");
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_followed_and_an_endpoint_that_fails_delays_no_request() {
    let scene = start().await;
    scene.peer.on("/old", Reply::status(307).header("location", "/new"));
    scene.peer.on("/new", Reply::json(200, &json!({"new": true})));
    scene.peer.on("/ill", Reply::status(503).header("retry-after", "3600"));
    let id = request(&scene, "net.http_post($1, '{\"a\": 1}')", "/old").await;
    assert_eq!(response(&scene.db, id).await.get::<_, Option<String>>("content").as_deref(), Some(r#"{"new":true}"#));
    assert_eq!(scene.peer.requests_for("/new")[0].text(), r#"{"a": 1}"#);
    for _ in 0..8 {
        let id = request(&scene, "net.http_get($1)", "/ill").await;
        assert_eq!(response(&scene.db, id).await.get::<_, i32>("status_code"), 503);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_and_urls_are_encoded_as_there() {
    let scene = start().await;
    let encoded: String = scene.db.one("select net._urlencode_string('a b&c=é~-._/')").await;
    assert_eq!(encoded, "a%20b%26c%3D%C3%A9~-._%2F");
    for (url, params, whole) in [
        ("http://host", "null", "http://host/"),
        ("http://host/p?a=1", "'{b=2,c=3}'", "http://host/p?a=1&b=2&c=3"),
        ("https://host:8443/p", "'{}'", "https://host:8443/p"),
    ] {
        let sql = format!("select net._encode_url_with_params_array('{url}', {params})");
        assert_eq!(scene.db.one::<String>(&sql).await, whole);
    }
}
