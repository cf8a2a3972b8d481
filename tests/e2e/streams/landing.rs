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
    let ids: Vec<Option<String>> = scene.db.column("select sse_id from edge_store.single_event order by seq").await;
    assert_eq!(ids, [Some("7".to_owned()), Some("7".to_owned())]);
    let late: i64 = scene
        .db
        .one("select count(*) from edge_store.single_event where received_at not between now() - interval '1 min' and now()")
        .await;
    assert_eq!(late, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn small_events_share_rows_and_each_is_read_as_itself() {
    let scene = Scene::start().await;
    // No id, then one that stays, then each its own; types that change; a large one among them.
    let large = "x".repeat(20_000);
    let named = |number: usize| match number {
        1..=10 => String::new(),
        11 => "id: eleven\n".to_owned(),
        12..=20 => "event: ping\n".to_owned(),
        _ => format!("id: {number}\nevent: {}\n", number % 3),
    };
    let data = |number: usize| if number == 200 { large.clone() } else { format!("{{\"number\":{number}}}") };
    let answer: String = (1..=400).map(|number| named(number) + &event(&data(number))).collect();
    scene.peer.on("/", sse().send(answer));
    let id = stream(&scene, "/").await;
    assert_eq!(ended(&scene.db, id).await.get::<_, &str>("state"), "succeeded");
    let rows: i64 = scene.db.one("select count(*) from edge_store.event").await;
    assert!((3..40).contains(&rows), "{rows} rows for 400 events");

    let type_of = |number: usize| match number {
        1..=11 => "message".to_owned(),
        12..=20 => "ping".to_owned(),
        _ => (number % 3).to_string(),
    };
    let id_of = |number: usize| match number {
        1..=10 => None,
        11..=20 => Some("eleven".to_owned()),
        _ => Some(number.to_string()),
    };
    let all = "* from edge.events where call_id = $1 order by seq";
    for (door, after) in [
        (all.to_owned(), 0),
        (all.replace("order", "and seq > 77 order"), 77),
        ("(e).* from (select edge.tail($1, 0)) as tail (e)".to_owned(), 0),
        ("(e).* from (select edge.tail($1, 33)) as tail (e)".to_owned(), 33),
        ("(e).* from (select edge.poll($1, 399)) as poll (e)".to_owned(), 399),
    ] {
        let read = scene.db.rows_with(&format!("select {door}"), &[&id]).await;
        assert_eq!(read.len(), 400 - after, "{door}");
        for (row, number) in read.iter().zip(after + 1..) {
            assert_eq!(row.get::<_, i64>("seq"), number as i64, "{door}");
            assert_eq!(row.get::<_, &str>("data"), data(number), "{door}");
            assert_eq!(row.get::<_, String>("event"), type_of(number), "{door}");
            assert_eq!(row.get::<_, Option<String>>("sse_id"), id_of(number), "{door}");
        }
    }
    let same = "select count(*) from edge.events as entry join (select edge.tail($1)) as tail (event)
                on (tail.event).seq = entry.seq and tail.event::text = entry::text";
    assert_eq!(scene.db.one_with::<i64>(same, &[&id]).await, 400);
    for after in [0_i64, 1, 255, 256, 300, 398] {
        let next = "select array_agg((e).seq) from (select edge.poll($1, $2, '0', 2)) as poll (e)";
        assert_eq!(scene.db.one_with::<Vec<i64>>(next, &[&id, &after]).await, [after + 1, after + 2]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_events_of_a_row_have_in_common_stands_in_it_once() {
    let scene = Scene::start().await;
    let many: String = (1..=50).map(|number| event(&format!("word {number}"))).collect();
    scene.peer.on("/", sse().send(many));
    let id = stream(&scene, "/").await;
    ended(&scene.db, id).await;
    let lists: Vec<i64> = scene
        .db
        .one(
            "select array[count(data_before), count(event_before), count(sse_id_before), count(received_at_before)]
             from edge_store.event",
        )
        .await;
    assert_eq!(lists[1..], [0, 0, 0], "all had one type, no id, and came together");
    assert!(lists[0] > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_came_one_after_the_other_keep_their_times_in_one_row_too() {
    let scene = Scene::start().await;
    let answer =
        (1..=20).fold(sse(), |reply, number| reply.send(event(&number.to_string())).pause(Duration::from_millis(3)));
    scene.peer.on("/", answer);
    let id = stream(&scene, "/").await;
    ended(&scene.db, id).await;
    let rows: i64 = scene.db.one("select count(*) from edge_store.event").await;
    assert!(rows < 20, "{rows} rows for 20 events");
    let times = "select count(distinct received_at) from edge.events where call_id = $1";
    assert!(scene.db.one_with::<i64>(times, &[&id]).await > rows);
    let order = "select array_agg(seq order by received_at, seq) = array_agg(seq order by seq) from edge.events where call_id = $1";
    assert!(scene.db.one_with::<bool>(order, &[&id]).await);
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
    let wrong = "select count(*) from edge_store.single_event where split_part(data, ' ', 2)::bigint <> seq";
    assert_eq!(scene.db.one::<i64>(wrong).await, 0, "events are out of order");
    let mixed = "select count(*) from (select from edge_store.single_event group by call_id
                 having count(distinct split_part(data, ' ', 1)) <> 1 or count(*) <> max(seq)) as bad";
    assert_eq!(scene.db.one::<i64>(mixed).await, 0, "events went to another call");
    assert_eq!(scene.db.one::<i64>("select count(*) from edge_store.single_event").await, STREAMS * EVENTS);
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
