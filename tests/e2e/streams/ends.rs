//! How a stream ends, and what is said of it.

use std::time::Duration;

use super::{data, event, events, held, lands, seen, sse, stream};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Gate, Reply, eventually};
use crate::scene::{Scene, ended, reaches};

/// The beginning of an answer of chat completions, which end with `[DONE]`.
fn chat(words: &[&str]) -> Reply {
    let delta = |word: &str| event(&format!("{{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}}}}]}}"));
    words.iter().fold(sse(), |reply, word| reply.send(delta(word)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_connection_dies_is_truncated_and_keeps_its_events() {
    let scene = Scene::start().await;
    scene.peer.on("/closed", sse().send(event("one")).send(event("two")).send("data: thr").then_close());
    scene.peer.on("/reset", sse().send(event("one")).send(event("two")).pause(Duration::from_millis(300)).then_reset());
    for path in ["/closed", "/reset"] {
        let id = stream(&scene, path).await;
        let response = ended(&scene.db, id).await;
        assert_eq!(response.get::<_, &str>("state"), "truncated", "{path}");
        assert_eq!(response.get::<_, Option<&str>>("error_class"), Some("truncated"), "{path}");
        let error: &str = response.get("error");
        assert!(error.starts_with("the stream cannot be read on: "), "{path}: {error}");
        assert_eq!(response.get::<_, Option<i32>>("status_code"), Some(200), "{path}");
        assert_eq!(response.get::<_, i32>("attempts"), 1, "{path}");
        assert_eq!(data(&scene.db, id).await, ["one", "two"], "{path}");
        assert_eq!(seen(&scene.db, id).await.get::<_, Option<i64>>("events"), Some(2), "{path}");
        assert_eq!(scene.peer.count(path), 1, "{path} was asked again");
    }
    assert_eq!(scene.db.one::<i64>("select count(*) from edge_store.stream").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_stops_in_good_order_without_its_last_event_is_truncated() {
    let scene = Scene::start().await;
    scene.peer.on("/whole", chat(&["Hel", "lo"]).send(event("[DONE]")));
    scene.peer.on("/cut", chat(&["Hel"]));
    let (whole, cut) = (stream(&scene, "/whole").await, stream(&scene, "/cut").await);
    assert_eq!(ended(&scene.db, whole).await.get::<_, &str>("state"), "succeeded");
    let response = ended(&scene.db, cut).await;
    assert_eq!(response.get::<_, &str>("state"), "truncated");
    assert_eq!(response.get::<_, &str>("error"), "the stream ended without the event that ends one of openai_chat");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_the_stream_fails_the_call_although_the_status_was_200() {
    let scene = Scene::start().await;
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Over\\u0000loaded\"}}\n\n";
    scene.peer.on("/", sse().send(error));
    let id = stream(&scene, "/").await;
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, &str>("state"), "failed");
    assert_eq!(response.get::<_, Option<&str>>("error_class"), Some("stream"));
    assert_eq!(response.get::<_, Option<&str>>("error"), Some("overloaded_error: Over\u{fffd}loaded"));
    assert_eq!(response.get::<_, Option<i32>>("status_code"), Some(200));
    assert_eq!(data(&scene.db, id).await.len(), 1);
    assert_eq!(scene.peer.count("/"), 1, "what has been read of is not asked for again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_tried_again_only_before_its_first_event() {
    let scene = Scene::start().await;
    let whole = || sse().send(event("a")).send(event("b"));
    scene.peer.sequence("/status", [Reply::status(503), whole()]);
    scene.peer.sequence("/head", [sse().send(": nothing yet\n").then_close(), whole()]);
    scene.peer.sequence("/half", [sse().send("data: not an event").then_close(), whole()]);
    scene.peer.sequence("/event", [sse().send(event("a")).then_close(), whole()]);
    for (path, state, attempts, wanted) in [
        ("/status", "succeeded", 2, vec!["a", "b"]),
        ("/head", "succeeded", 2, vec!["a", "b"]),
        ("/half", "succeeded", 2, vec!["a", "b"]),
        ("/event", "truncated", 1, vec!["a"]),
    ] {
        let id = stream(&scene, path).await;
        let response = ended(&scene.db, id).await;
        assert_eq!(response.get::<_, &str>("state"), state, "{path}");
        assert_eq!(response.get::<_, i32>("attempts"), attempts, "{path}");
        assert_eq!(data(&scene.db, id).await, wanted, "{path}");
        assert_eq!(scene.peer.count(path) as i32, attempts, "{path}");
    }
    assert_eq!(scene.db.one::<i64>("select count(*) from edge_store.stream").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_for_its_next_try_is_not_streaming() {
    let scene = Scene::start().await;
    scene.peer.on("/", sse().send(": nothing\n").then_close());
    let policy = "edge.retry_policy(base => '1 hour')";
    let base = scene.peer.url("");
    scene.db.exec(&format!("select edge.create_endpoint('slow', base_url => '{base}', retry => {policy})")).await;
    let id: i64 = scene.db.one("select edge.http_get_async('/', endpoint => 'slow', stream => 'sse')").await;
    reaches(&scene.db, id, "retrying").await;
    assert_eq!(scene.db.one::<i64>("select count(*) from edge_store.stream").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_closes_the_connection_and_keeps_what_has_come() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    scene.peer.on("/", held(2, &gate));
    let id = stream(&scene, "/").await;
    lands(&scene.db, id, 2).await;
    assert!(scene.db.one_with::<bool>("select edge.cancel($1)", &[&id]).await);
    eventually("the peer sees its connection closed", SERVER_DEADLINE, || async { scene.peer.in_flight() == 0 }).await;
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, &str>("state"), "cancelled");
    assert_eq!(response.get::<_, Option<i32>>("status_code"), Some(200));
    assert_eq!(response.get::<_, Option<&str>>("content_type"), Some("text/event-stream"));
    assert_eq!(data(&scene.db, id).await, ["before 1", "before 2"]);
    assert_eq!(seen(&scene.db, id).await.get::<_, Option<i64>>("events"), Some(2));
    assert!(!scene.db.one_with::<bool>("select edge.cancel($1)", &[&id]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cancelled_keeps_its_dialect_and_its_tokens() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    let begun = r#"{"type":"message_start","message":{"usage":{"input_tokens":25}}}"#;
    scene.peer.on("/", sse().send(event(begun)).hold(&gate).send(event("after")));
    let id = stream(&scene, "/").await;
    lands(&scene.db, id, 1).await;
    assert!(scene.db.one_with::<bool>("select edge.cancel($1)", &[&id]).await);
    ended(&scene.db, id).await;
    let call = seen(&scene.db, id).await;
    assert_eq!(call.get::<_, &str>("state"), "cancelled");
    assert_eq!(call.get::<_, Option<&str>>("dialect"), Some("anthropic"));
    assert_eq!(call.get::<_, Option<serde_json::Value>>("usage"), Some(serde_json::json!({"input_tokens": 25})));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stream_calls_its_usage_is_kept_only_where_it_can_be() {
    let scene = Scene::start().await;
    let delta = |usage: &str| event(&format!(r#"{{"type":"message_delta","usage":{usage}}}"#));
    let many: Vec<String> = (0..10_000).map(|name| format!("\"count_{name}\":1")).collect();
    let answer = sse()
        .send(delta(r#"{"output_tokens":15}"#))
        .send(delta(r#"{"text":"\u0000"}"#))
        .send(delta(&format!("{{{}}}", many.join(","))))
        .send(event(r#"{"type":"message_stop"}"#));
    scene.peer.on("/", answer);
    let id = stream(&scene, "/").await;
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    let call = seen(&scene.db, id).await;
    assert_eq!(call.get::<_, Option<serde_json::Value>>("usage"), Some(serde_json::json!({"output_tokens": 15})));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_well_in_the_middle_of_an_event_is_truncated_and_a_plain_word_is_none() {
    let scene = Scene::start().await;
    scene.peer.on("/cut", sse().send(event("one")).send("data: two, cut in the mid"));
    scene.peer.on("/word", Reply::stream("text/plain").send("ok"));
    let (cut, word) = (stream(&scene, "/cut").await, stream(&scene, "/word").await);
    assert_eq!(ended(&scene.db, cut).await.get::<_, &str>("state"), "truncated");
    assert_eq!(data(&scene.db, cut).await, ["one"]);
    let response = ended(&scene.db, word).await;
    assert_eq!((response.get::<_, &str>("state"), response.get::<_, &str>("error_class")), ("failed", "stream"));
    assert_eq!(scene.peer.count("/word"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callback_of_a_stream_runs_once_at_its_end() {
    let scene = Scene::start().await;
    scene.db.exec("create table told (state text, status int, body text, events bigint)").await;
    scene
        .db
        .exec(
            "create function tell(r edge.response) returns void language sql as $$
                 insert into public.told
                 select r.state, r.status_code, r.body, (select count(*) from edge_store.single_event where call_id = r.id) $$",
        )
        .await;
    scene.peer.on("/", sse().send(event("a")).send(event("b")));
    let id = scene.call("edge.http_get_async($1, stream => 'sse', on_complete => 'tell')", "/").await;
    ended(&scene.db, id).await;
    let told: String = eventually("the callback has run", SERVER_DEADLINE, || async {
        scene.db.maybe::<String>("select told::text from told").await
    })
    .await;
    assert_eq!(told, "(succeeded,200,,2)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_cannot_be_stored_ends_its_own_call_only() {
    let scene = Scene::start().await;
    // A superuser's own check, as an example of a row that the server refuses for its content.
    scene.db.exec("alter table edge_store.event add check (data <> 'unwelcome')").await;
    let gate = Gate::closed();
    scene.peer.on("/bad", sse().send(event("fine")).hold(&gate).send(event("unwelcome")).then_hang());
    scene.peer.on("/good", sse().send(event("fine")).hold(&gate).send(event("welcome")));
    let bad = stream(&scene, "/bad").await;
    let mut good = Vec::new();
    for _ in 0..5 {
        good.push(stream(&scene, "/good").await);
    }
    for id in good.iter().chain([&bad]) {
        lands(&scene.db, *id, 1).await;
    }
    gate.open();
    for id in good {
        assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
        assert_eq!(data(&scene.db, id).await, ["fine", "welcome"]);
    }
    let response = ended(&scene.db, bad).await;
    assert_eq!(response.get::<_, &str>("state"), "failed");
    assert!(response.get::<_, &str>("error").contains("could not be stored"), "{response:?}");
    assert_eq!(events(&scene.db, bad).await.len(), 1);
    assert_eq!(seen(&scene.db, bad).await.get::<_, Option<i64>>("events"), Some(1));
    eventually("the peer sees its connection closed", SERVER_DEADLINE, || async { scene.peer.in_flight() == 0 }).await;
    assert_eq!(scene.db.one::<i64>("select count(*) from edge_store.stream").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_stored_behind_an_event_that_cannot_be() {
    let scene = Scene::start().await;
    let (first, second) = (Gate::closed(), Gate::closed());
    let answer = sse().send(event("fine")).hold(&first).send(event("unwelcome"));
    scene.peer.on("/", answer.hold(&second).send(event("welcome")));
    let id = stream(&scene, "/").await;
    lands(&scene.db, id, 1).await;
    let locker = scene.cluster.connect().await;
    locker.exec("begin; alter table edge_store.event add check (data <> 'unwelcome')").await;
    first.open();
    let waits = "select count(*) > 0 from pg_locks where not granted";
    eventually("the dispatcher waits with the first of them", SERVER_DEADLINE, || scene.db.one::<bool>(waits)).await;
    second.open();
    // The stream has ended, and a turn has failed with both of its pieces.
    eventually("the answer has been given", SERVER_DEADLINE, || async { scene.peer.in_flight() == 0 }).await;
    eventually("the dispatcher has given up twice", SERVER_DEADLINE, || async {
        scene.cluster.log().matches("lock timeout").count() >= 2
    })
    .await;
    locker.exec("commit").await;
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, &str>("state"), "failed");
    assert_eq!(data(&scene.db, id).await, ["fine"]);
    assert_eq!(seen(&scene.db, id).await.get::<_, Option<i64>>("events"), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_stream_is_a_body_and_nothing_of_it_is_lost() {
    let scene = Scene::start().await;
    scene.peer.on("/json", Reply::json(200, &serde_json::json!({"whole": true})));
    scene.peer.on("/refused", Reply::json(400, &serde_json::json!({"error": "no such model"})));
    for (path, format, state, status) in [
        ("/json", "auto", "succeeded", 200),
        ("/json", "sse", "succeeded", 200),
        ("/refused", "sse", "failed", 400),
        ("/refused", "raw", "failed", 400),
    ] {
        let id = scene.call(&format!("edge.http_get_async($1, stream => '{format}')"), path).await;
        let response = ended(&scene.db, id).await;
        assert_eq!(response.get::<_, &str>("state"), state, "{path} as {format}");
        assert_eq!(response.get::<_, Option<i32>>("status_code"), Some(status), "{path} as {format}");
        assert!(response.get::<_, Option<serde_json::Value>>("json").is_some(), "{path} as {format}");
        assert!(data(&scene.db, id).await.is_empty(), "{path} as {format}");
        assert_eq!(seen(&scene.db, id).await.get::<_, Option<i64>>("events"), None, "{path} as {format}");
    }
}
