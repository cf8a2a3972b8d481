//! Streams from real edge functions, which Deno runs: what they pipe through, and the ways in which they go wrong.

pub mod runtime;

use serde_json::json;

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, ClusterBuilder, Gate, Reply, eventually};
use crate::scene::{Scene, call, ended};
use crate::streams_reading::screen::Screen;
use runtime::Runtime;

/// An event of a language model, as Anthropic sends them.
fn event(kind: &str, mut more: serde_json::Value) -> String {
    more["type"] = kind.into();
    format!("event: {kind}\ndata: {more}\n\n")
}

fn delta(text: &str) -> String {
    event("content_block_delta", json!({ "index": 0, "delta": { "type": "text_delta", "text": text } }))
}

/// The model's answer up to its first word.
fn begun(word: &str) -> Reply {
    let usage = json!({ "message": { "role": "assistant", "usage": { "input_tokens": 9, "output_tokens": 1 } } });
    Reply::stream("text/event-stream").send(event("message_start", usage)).send(delta(word))
}

/// The end of the model's answer.
fn over() -> String {
    let usage = json!({ "delta": { "stop_reason": "end_turn" }, "usage": { "output_tokens": 3 } });
    event("message_delta", usage) + &event("message_stop", json!({}))
}

/// A scene whose peer is the language model, and the functions.
async fn start() -> (Scene, Runtime) {
    start_on(Cluster::builder()).await
}

async fn start_on(cluster: ClusterBuilder) -> (Scene, Runtime) {
    let scene = Scene::on(cluster).await;
    let runtime = Runtime::start(&scene.peer.url(""));
    (scene, runtime)
}

/// Waits until this much of an answer's text can be read.
async fn has_said(scene: &Scene, id: i64, text: &str) {
    let sql = "select edge.stream_text($1)";
    eventually(&format!("{text:?} was said"), SERVER_DEADLINE, || async {
        scene.db.one_with::<String>(sql, &[&id]).await == text
    })
    .await;
}

const ASK: &str = r#"edge.http_post_async($1, '{"prompt": "Tell me a story"}', stream => 'sse', max_attempts => 2)"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_function_pipes_through_is_typed_out_while_the_model_still_writes() {
    let (scene, runtime) = start().await;
    let (second, third) = (Gate::closed(), Gate::closed());
    let answer = begun("Once ").hold(&second).send(delta("upon ")).hold(&third).send(delta("a time"));
    scene.peer.on("/v1/messages", answer.send(over()));
    let id = call(&scene.db, ASK, &runtime.url("stream-ai")).await;
    let copy = format!("copy (select edge.tail_text({id})) to stdout");
    let mut screen = Screen::psql(&scene.cluster, &["--command", &copy]);
    screen.shows("Once").await;
    second.open();
    screen.shows("upon").await;
    assert!(!screen.text().contains("a time"));
    third.open();
    assert_eq!(screen.ends().await, "Once \nupon \na time\n");
    assert_eq!(ended(&scene.db, id).await.get::<_, String>("state"), "succeeded");
    let kept = scene.db.rows_with("select dialect, usage, events from edge.calls where id = $1", &[&id]).await;
    assert_eq!(kept[0].get::<_, String>("dialect"), "anthropic");
    assert_eq!(kept[0].get::<_, serde_json::Value>("usage"), json!({ "input_tokens": 9, "output_tokens": 3 }));
    assert_eq!(kept[0].get::<_, i64>("events"), 6);
    let asked = &scene.peer.requests_for("/v1/messages")[0];
    let body: serde_json::Value = serde_json::from_slice(&asked.body).expect("it is JSON");
    assert_eq!(body["messages"][0]["content"], "Tell me a story");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_a_call_stops_the_model_behind_the_function() {
    let (scene, runtime) = start().await;
    scene.peer.on("/v1/messages", begun("Once ").then_hang());
    let id = call(&scene.db, ASK, &runtime.url("stream-ai")).await;
    has_said(&scene, id, "Once ").await;
    assert_eq!(scene.peer.open_connections(), 1);
    scene.db.one_with::<bool>("select edge.cancel($1)", &[&id]).await;
    assert_eq!(ended(&scene.db, id).await.get::<_, String>("state"), "cancelled");
    eventually("the function has let go of the model", SERVER_DEADLINE, || async {
        scene.peer.open_connections() == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_stalls_is_given_up_with_what_it_has_said() {
    let (scene, runtime) = start_on(Cluster::builder().setting("pg_edge.stream_idle_timeout", "6s")).await;
    let id = call(&scene.db, ASK, &runtime.url("stalls")).await;
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, String>("state"), "truncated");
    assert_eq!(response.get::<_, String>("error"), "no byte of the stream came for 6 s");
    assert_eq!(response.get::<_, i32>("attempts"), 1, "a stream that has begun is not asked for again");
    has_said(&scene, id, "one two").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_fails_while_it_writes_has_been_truncated() {
    let (scene, runtime) = start().await;
    let id = call(&scene.db, ASK, &runtime.url("breaks-off")).await;
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, String>("state"), "truncated", "{:?}", response.get::<_, Option<String>>("error"));
    assert_eq!(response.get::<_, i32>("status_code"), 200);
    has_said(&scene, id, "one two").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_dies_while_a_function_writes_leaves_what_has_come() {
    let (scene, mut runtime) = start().await;
    scene.peer.on("/v1/messages", begun("Once ").then_hang());
    let id = call(&scene.db, ASK, &runtime.url("stream-ai")).await;
    has_said(&scene, id, "Once ").await;
    runtime.kill();
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, String>("state"), "truncated", "{:?}", response.get::<_, Option<String>>("error"));
    assert_eq!(response.get::<_, i32>("attempts"), 1, "a stream that has begun is not asked for again");
    has_said(&scene, id, "Once ").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_model_under_status_200_fails_the_call() {
    let (scene, runtime) = start().await;
    let error = json!({ "error": { "type": "overloaded_error", "message": "Overloaded" } });
    scene.peer.on("/v1/messages", begun("Once ").send(event("error", error)));
    let id = call(&scene.db, ASK, &runtime.url("stream-ai")).await;
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, String>("state"), "failed");
    let why: String = response.get("error");
    assert!(why.contains("overloaded_error: Overloaded"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_writes_byte_by_byte_is_read_as_any_other() {
    let (scene, runtime) = start().await;
    let words = r#"'{"words": ["Grüße, ", "世界 ", "😀", "\n\ttwo lines"]}'"#;
    let ask = format!("edge.http_post_async($1, {words}, stream => 'auto')");
    let id = call(&scene.db, &ask, &runtime.url("byte-by-byte")).await;
    let said: Vec<String> = scene.db.column(&format!("select edge.tail_text({id})")).await;
    assert_eq!(said, ["Grüße, ", "世界 ", "😀", "\n\ttwo lines"]);
    assert_eq!(ended(&scene.db, id).await.get::<_, String>("state"), "succeeded");
}
