//! Peers that lie, break off, never end or send what no honest server would: each call ends with a readable outcome,
//! and the next one works.

use serde_json::Value;
use tokio_postgres::Row;

use crate::harness::{Cluster, Reply};
use crate::scene::{Scene, ended};

const BOMB: (&[u8], usize, &[u8]) = (
    &[
        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xed, 0xc1, 0x01, 0x01, 0x00, 0x00, 0x00, 0x82,
        0x20, 0xff, 0xaf, 0x6e, 0x48, 0x40, 0x01,
    ],
    968,
    &[0xaf, 0x06, 0x9e, 0xcb, 0x79, 0x12, 0x40, 0x42, 0x0f, 0x00],
);

const ONCE: &str = "edge.http_get_async($1, max_attempts => 1, timeout => '60 s')";

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_answer_is_a_failure_of_its_class() {
    let scene = Scene::on(Cluster::builder().setting("pg_edge.breaker_failures", "0")).await;
    let table = [
        ("/longer", Reply::text(200, "short").header("content-length", "999").then_close(), "protocol"),
        ("/reset", Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123").then_reset(), "protocol"),
        ("/cut", Reply::stream("text/plain").send("half").then_close(), "protocol"),
        ("/silent", Reply::raw(""), "protocol"),
        ("/nonsense", Reply::raw("220 smtp ready\r\n\r\n"), "protocol"),
        ("/status", Reply::raw("HTTP/1.1 9999 No\r\n\r\n"), "protocol"),
        ("/chunk", Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nx"), "protocol"),
        ("/two", Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"), "protocol"),
        ("/gzip", Reply::text(200, "this is no gzip").header("content-encoding", "gzip"), "protocol"),
        ("/name", Reply::raw("HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n"), "protocol"),
    ];
    for (path, reply, class) in table {
        scene.peer.on(path, reply);
        let id = scene.call(ONCE, path).await;
        let response = ended(&scene.db, id).await;
        assert_eq!(response.get::<_, &str>("state"), "failed", "{path}");
        assert_eq!(response.get::<_, &str>("error_class"), class, "{path}");
        assert!(response.get::<_, &str>("error").len() > 15, "{path}: {}", response.get::<_, &str>("error"));
    }
    works(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_longer_than_it_says_ends_where_it_says() {
    let scene = Scene::start().await;
    scene.peer.on("/shorter", Reply::text(200, "12345 and a smuggled answer").header("content-length", "5"));
    let id = scene.call(ONCE, "/shorter").await;
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("body"), "12345");
    works(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_keeps_its_status_and_headers() {
    let scene = Scene::on(Cluster::builder().setting("pg_edge.max_response_bytes", "100kB")).await;
    scene.peer.on("/endless", Reply::endless().header("x-kept", "yes"));
    scene.peer.on("/announced", Reply::text(200, &"x".repeat(200_000)).header("x-kept", "yes"));
    scene.peer.on(
        "/bomb",
        Reply::bytes(200, "text/plain", bomb()).header("content-encoding", "gzip").header("x-kept", "yes"),
    );
    for path in ["/endless", "/announced", "/bomb"] {
        let id = scene.call("edge.http_get_async($1)", path).await;
        let response: Row = ended(&scene.db, id).await;
        assert_eq!(response.get::<_, &str>("state"), "failed", "{path}");
        assert_eq!(response.get::<_, &str>("error_class"), "response_too_large", "{path}");
        assert_eq!(response.get::<_, i32>("status_code"), 200, "{path}");
        assert_eq!(response.get::<_, Value>("headers")["x-kept"], "yes", "{path}");
        assert_eq!(response.get::<_, Option<&[u8]>>("body_bytes"), None, "{path}");
        assert_eq!(response.get::<_, i32>("attempts"), 1, "{path} was tried again");
    }
    works(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_headers_end_in_an_outcome() {
    let scene = Scene::start().await;
    let mut head = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n".to_owned();
    for number in 0..10_000 {
        head.push_str(&format!("x-{number}: v\r\n"));
    }
    scene.peer.on("/many", Reply::raw(head + "\r\n"));
    let id = scene.call(ONCE, "/many").await;
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, &str>("state"), "failed");
    assert_eq!(response.get::<_, &str>("error_class"), "protocol");
    works(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn header_values_that_are_not_utf8_are_read_as_well_as_can_be() {
    let scene = Scene::start().await;
    let raw: &[u8] =
        b"HTTP/1.1 200 OK\r\nx-raw: caf\xe9\r\nx-tab: a\tb\r\nx-colon: a: b\r\ncontent-length: 2\r\n\r\nok";
    scene.peer.on("/raw", Reply::raw(raw.to_vec()));
    let id = scene.call(ONCE, "/raw").await;
    let response = ended(&scene.db, id).await;
    let headers: Value = response.get("headers");
    assert_eq!(headers["x-raw"], "caf\u{fffd}");
    assert_eq!(headers["x-tab"], "a\tb");
    assert_eq!(headers["x-colon"], "a: b");
    assert_eq!(response.get::<_, &str>("body"), "ok");
    works(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_ends_is_ended_by_the_timeout() {
    let scene = Scene::start().await;
    scene.peer.on("/head", Reply::hang()).on("/body", Reply::stream("text/plain").send("some").then_hang());
    for path in ["/head", "/body"] {
        let id = scene.call("edge.http_get_async($1, max_attempts => 1, timeout => '300 ms')", path).await;
        let response = ended(&scene.db, id).await;
        assert_eq!(response.get::<_, &str>("error_class"), "timeout", "{path}");
        assert!(response.get::<_, &str>("error").contains("300 ms"), "{}", response.get::<_, &str>("error"));
    }
    works(&scene).await;
}

async fn works(scene: &Scene) {
    let id = scene.get("/next").await;
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded", "the next call");
    let errors: Option<String> = scene.db.one("select last_error from edge.worker_status()").await;
    assert_eq!(errors, None, "the worker itself had an error");
}

/// A megabyte of zeros as gzip: a run of zero bytes between a short head and a short tail.
fn bomb() -> Vec<u8> {
    let (head, zeros, tail) = BOMB;
    [head, vec![0; zeros].as_slice(), tail].concat()
}
