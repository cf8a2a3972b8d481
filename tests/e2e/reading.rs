//! How a response is read in SQL: each field of `edge.response`, from what the peer sent.

use serde_json::{Value, json};
use tokio_postgres::Row;

use crate::harness::Reply;
use crate::scene::{Scene, ended};

#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_a_response_is_filled() {
    let scene = Scene::start().await;
    let reply = Reply::json(201, &json!({"id": 7})).header("X-Single", "one").header("Set-Cookie", "a=1");
    scene.peer.on("/full", reply.header("set-cookie", "b=2").header("x-empty", ""));
    let id = scene.get("/full").await;
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, i64>("id"), id);
    assert_eq!(response.get::<_, &str>("state"), "succeeded");
    assert_eq!(response.get::<_, i32>("status_code"), 201);
    let headers: Value = response.get("headers");
    assert_eq!(headers["x-single"], "one");
    assert_eq!(headers["set-cookie"], json!(["a=1", "b=2"]));
    assert_eq!(headers["x-empty"], "");
    assert_eq!(response.get::<_, &str>("content_type"), "application/json");
    assert_eq!(response.get::<_, &str>("body"), r#"{"id":7}"#);
    assert_eq!(response.get::<_, &[u8]>("body_bytes"), br#"{"id":7}"#);
    assert_eq!(response.get::<_, Value>("json"), json!({"id": 7}));
    assert_eq!(response.get::<_, Option<&str>>("error_class"), None);
    assert_eq!(response.get::<_, Option<&str>>("error"), None);
    assert_eq!(response.get::<_, i32>("attempts"), 1);
    let sql = "select queued_at <= started_at and started_at <= finished_at and duration = finished_at - started_at
               from edge.result($1)";
    assert!(scene.db.one_with::<bool>(sql, &[&id]).await, "the times are out of order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_text_and_json_only_where_it_is() {
    let scene = Scene::start().await;
    #[allow(clippy::type_complexity, reason = "a table: content type, bytes, text, JSON")]
    let table: [(&str, &[u8], Option<&str>, Option<Value>); 15] = [
        ("application/json", b"{\"a\": [1, null]}", Some("{\"a\": [1, null]}"), Some(json!({"a": [1, null]}))),
        ("text/plain", b"{\"a\": 1}", Some("{\"a\": 1}"), Some(json!({"a": 1}))),
        ("text/plain", b"hello", Some("hello"), None),
        ("text/plain", b"", Some(""), None),
        ("text/plain; charset=iso-8859-1", b"caf\xe9", Some("caf\u{e9}"), None),
        ("text/plain; Charset=\"UTF-16LE\"", b"h\0i\0", Some("hi"), None),
        ("text/html; charset=shift_jis", b"\x93\xfa", Some("\u{65e5}"), None),
        ("text/plain", b"a\0b", Some("a\u{fffd}b"), None),
        ("application/json", b"{\"a\":\"\\u0000\"}", Some("{\"a\":\"\\u0000\"}"), None),
        ("application/json", b"{\"a\":\"\\ud800\"}", Some("{\"a\":\"\\ud800\"}"), None),
        ("application/json", b"1e400000", Some("1e400000"), None),
        ("application/json", b"{broken", Some("{broken"), None),
        ("application/octet-stream", b"\xff\xfe\x00", None, None),
        ("text/plain; charset=no-such-charset", b"abc", None, None),
        ("application/json", b"\xef\xbb\xbf[1]", Some("[1]"), Some(json!([1]))),
    ];
    for (number, (content_type, bytes, text, parsed)) in table.into_iter().enumerate() {
        let path = format!("/{number}");
        scene.peer.on(&path, Reply::bytes(200, content_type, bytes.to_vec()));
        let id = scene.get(&path).await;
        let response = ended(&scene.db, id).await;
        let what = format!("{content_type}: {bytes:?}");
        assert_eq!(response.get::<_, &str>("state"), "succeeded", "{what}");
        assert_eq!(response.get::<_, &[u8]>("body_bytes"), bytes, "{what}");
        assert_eq!(response.get::<_, Option<&str>>("body"), text, "{what}");
        assert_eq!(response.get::<_, Option<Value>>("json"), parsed, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_deeper_than_the_stack_allows_is_kept_as_text() {
    let scene = Scene::start().await;
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    scene.peer.on("/deep", Reply::bytes(200, "application/json", deep.clone()));
    let id = scene.get("/deep").await;
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, &str>("body"), deep);
    let is_null: bool = scene.db.one_with("select (edge.result($1)).json is null", &[&id]).await;
    assert!(is_null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_beyond_a_double_is_read_digit_for_digit() {
    let scene = Scene::start().await;
    let digits = "123456789012345678901234567890.12345678901234567890";
    scene.peer.on("/exact", Reply::bytes(200, "application/json", format!("{{\"n\":{digits},\"big\":1e400}}")));
    let id = scene.get("/exact").await;
    ended(&scene.db, id).await;
    let sql = "select (json->>'n') || ' ' || length(json->>'big') from edge.result($1)";
    assert_eq!(scene.db.one_with::<String>(sql, &[&id]).await, format!("{digits} 401"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_a_body_has_an_empty_one() {
    let scene = Scene::start().await;
    scene.peer.on("/none", Reply::status(204));
    let id = scene.get("/none").await;
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, i32>("status_code"), 204);
    assert_eq!(response.get::<_, Option<&str>>("content_type"), None);
    assert!(response.get::<_, Option<&[u8]>>("body_bytes").is_none_or(<[u8]>::is_empty));
}

#[tokio::test(flavor = "multi_thread")]
async fn result_and_status_tell_how_a_call_stands_at_every_time() {
    let scene = Scene::start().await;
    let gate = crate::harness::Gate::closed();
    scene.peer.on("/gated", Reply::gate(&gate));
    let id = scene.get("/gated").await;
    scene.peer.wait_for(1).await;
    crate::scene::reaches(&scene.db, id, "running").await;
    let response = result(&scene, id).await;
    assert_eq!(response.get::<_, &str>("state"), "running");
    assert_eq!(response.get::<_, Option<i32>>("status_code"), None);
    assert_eq!(response.get::<_, i32>("attempts"), 0, "no attempt has ended");
    gate.open();
    ended(&scene.db, id).await;
    assert_eq!(result(&scene, id).await.get::<_, &str>("state"), "succeeded");
    let unknown = "select edge.status(4711) is null and edge.status(null) is null
                   and (edge.result(4711)).id is null and (edge.result(null)).id is null";
    assert!(scene.db.one::<bool>(unknown).await, "an unknown call has a state");
}

async fn result(scene: &Scene, id: i64) -> Row {
    scene.db.rows_with("select * from edge.result($1)", &[&id]).await.remove(0)
}
