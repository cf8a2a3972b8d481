//! Events become rows as they come: at once, in order, and each once.

use std::time::Duration;

use super::{data, event, events, held, lands, seen, sse, stream};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, Gate, Reply, eventually};
use crate::scene::{Scene, ended, reaches};

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_a_row_while_the_peer_still_writes() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    scene.peer.on("/", held(3, &gate));
    let id = stream(&scene, "/").await;
    lands(&scene.db, id, 3).await;
    assert_eq!(scene.peer.in_flight(), 1, "the peer has not ended its answer");
    reaches(&scene.db, id, "streaming").await;
    let call = seen(&scene.db, id).await;
    assert_eq!(call.get::<_, Option<i32>>("status_code"), Some(200));
    assert_eq!(call.get::<_, Option<i64>>("events"), None, "they are counted at the end");
    gate.open();
    let response = ended(&scene.db, id).await;
    assert_eq!(response.get::<_, &str>("state"), "succeeded");
    assert_eq!(response.get::<_, Option<&str>>("body"), None);
    assert_eq!(response.get::<_, Option<&str>>("content_type"), Some("text/event-stream"));
    assert_eq!(data(&scene.db, id).await, ["before 1", "before 2", "before 3", "after"]);
    assert_eq!(seen(&scene.db, id).await.get::<_, Option<i64>>("events"), Some(4));
    assert_eq!(scene.db.one::<i64>("select count(*) from edge_store.stream").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_an_event_yet_is_streaming_and_waiters_are_told_so() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    scene.peer.on("/", sse().send(": the head is out\n").hold(&gate).send(event("one")));
    let id = stream(&scene, "/").await;
    reaches(&scene.db, id, "streaming").await;
    let response = scene.db.rows_with("select * from edge.wait($1, '100 ms')", &[&id]).await;
    assert_eq!(response[0].get::<_, &str>("state"), "streaming");
    assert_eq!(response[0].get::<_, Option<i32>>("status_code"), Some(200));
    gate.open();
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn types_ids_and_lines_of_an_event_are_kept() {
    let scene = Scene::start().await;
    scene.peer.on("/", sse().send("event: ping\nid: 7\ndata: {\"a\":\ndata: 1}\n\ndata: \u{4e16}\n\n"));
    let id = stream(&scene, "/").await;
    ended(&scene.db, id).await;
    let expected = [
        (1, Some("ping".to_owned()), "{\"a\":\n1}".to_owned()),
        (2, Some("message".to_owned()), "\u{4e16}".to_owned()),
    ];
    assert_eq!(events(&scene.db, id).await, expected);
    let ids: Vec<Option<String>> = scene.db.column("select sse_id from edge_store.event order by seq").await;
    assert_eq!(ids, [Some("7".to_owned()), Some("7".to_owned())]);
    let late: i64 = scene
        .db
        .one("select count(*) from edge_store.event where received_at not between now() - interval '1 min' and now()")
        .await;
    assert_eq!(late, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_json_and_raw_text_land_too() {
    let scene = Scene::start().await;
    scene.peer.on("/lines", Reply::stream("application/x-ndjson").send("{\"n\":1}\n{\"n\"").send(":2}\n\n{\"n\":3}"));
    scene.peer.on("/text", Reply::stream("text/plain; charset=iso-8859-1").send(&b"gr\xfc"[..]).send(&b"n"[..]));
    let lines = scene.call("edge.http_get_async($1, stream => 'auto')", "/lines").await;
    let text = scene.call("edge.http_get_async($1, stream => 'raw')", "/text").await;
    ended(&scene.db, lines).await;
    assert_eq!(data(&scene.db, lines).await, ["{\"n\":1}", "{\"n\":2}", "{\"n\":3}"]);
    ended(&scene.db, text).await;
    assert_eq!(data(&scene.db, text).await.concat(), "gr\u{fc}n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_streams_at_once_keep_their_order_and_lose_nothing() {
    const STREAMS: i64 = 100;
    const EVENTS: i64 = 200;
    let wide = Cluster::builder().setting("pg_edge.max_concurrency_per_endpoint", "200");
    let scene = Scene::on(wide).await;
    scene.peer.otherwise(|request| {
        (1..=EVENTS).fold(sse(), |reply, number| {
            let reply = reply.send(event(&format!("{} {number}", request.path)));
            if number % 50 == 0 { reply.pause(Duration::from_millis(20)) } else { reply }
        })
    });
    let url = scene.peer.url("");
    let queue =
        format!("select edge.http_get_async('{url}/' || n, stream => 'sse') from generate_series(1, {STREAMS}) as n");
    scene.db.exec(&queue).await;
    let open = "select count(*) from edge.calls where finished_at is null";
    eventually("all streams have ended", SERVER_DEADLINE, || async { scene.db.one::<i64>(open).await == 0 }).await;
    let succeeded = format!("select count(*) from edge.calls where state = 'succeeded' and events = {EVENTS}");
    assert_eq!(scene.db.one::<i64>(&succeeded).await, STREAMS);
    let wrong = "select count(*) from edge_store.event where split_part(data, ' ', 2)::bigint <> seq";
    assert_eq!(scene.db.one::<i64>(wrong).await, 0, "events are out of order");
    let mixed = "select count(*) from (select from edge_store.event group by call_id
                 having count(distinct split_part(data, ' ', 1)) <> 1 or count(*) <> max(seq)) as bad";
    assert_eq!(scene.db.one::<i64>(mixed).await, 0, "events went to another call");
    assert_eq!(scene.db.one::<i64>("select count(*) from edge_store.event").await, STREAMS * EVENTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_model_said_of_its_tokens_is_kept_with_the_call() {
    let scene = Scene::start().await;
    let body = [
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":15}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ];
    scene.peer.on("/", body.iter().fold(sse(), |reply, event| reply.send(*event)));
    let id = stream(&scene, "/").await;
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    let call = seen(&scene.db, id).await;
    assert_eq!(call.get::<_, Option<&str>>("dialect"), Some("anthropic"));
    assert_eq!(call.get::<_, Option<i64>>("events"), Some(4));
    let tokens: String = scene.db.one_with("select usage::text from edge.calls where id = $1", &[&id]).await;
    assert_eq!(tokens, "{\"input_tokens\": 25, \"output_tokens\": 15}");
}
