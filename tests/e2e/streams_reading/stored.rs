//! Events that are there already. They are put into the tables by hand, so that each test has just those it is about.

use serde_json::Value;

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Db, within};
use crate::scene::Scene;

/// A call that is not sent, to which events are added.
pub async fn call(scene: &Scene, db: &Db) -> i64 {
    let later = "select edge.http_get_async($1, run_at => now() + interval '1 day', stream => 'sse')";
    db.one_with(later, &[&scene.peer.url("/never")]).await
}

/// Adds events of these data to a call, after those that it has.
pub async fn add(scene: &Scene, id: i64, data: &[&str]) {
    let sql = "insert into edge_store.event (call_id, seq, received_at, slot, event, data)
               select $1, coalesce((select max(seq) from edge_store.event where call_id = $1), 0) + number,
                      clock_timestamp(), (select slot from edge_store.request where id = $1), 'message', data
               from unnest($2::text[]) with ordinality as given (data, number)";
    let data: Vec<String> = data.iter().map(|&data| data.to_owned()).collect();
    scene.db.rows_with(sql, &[&id, &data]).await;
}

/// Ends a call, in a state as the table has it.
pub async fn end(scene: &Scene, id: i64, state: &str, error: Option<&str>) {
    let sql = format!(
        "insert into edge_store.response (call_id, finished_at, slot, attempts, state, error)
         select id, clock_timestamp(), slot, 1, '{state}', $2 from edge_store.request where id = $1"
    );
    scene.db.rows_with(&sql, &[&id, &error]).await;
}

const ANSWER: [&str; 4] = [
    r#"{"type":"message_start","message":{}}"#,
    r#"{"type":"content_block_delta","delta":{"text":"Hel"}}"#,
    r#"{"type":"content_block_delta","delta":{"text":"lo\n"}}"#,
    r#"{"type":"message_stop"}"#,
];

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_read_through_every_door() {
    let scene = Scene::start().await;
    let id = call(&scene, &scene.db).await;
    add(&scene, id, &ANSWER).await;
    end(&scene, id, "s", None).await;
    let numbered = |form: &str| format!("select array_agg(seq || data) from (select ({form}).*) as event");
    let all: Vec<String> = scene.db.one(&numbered(&format!("edge.tail({id})"))).await;
    let wanted: Vec<String> = ANSWER.iter().zip(1..).map(|(data, seq)| format!("{seq}{data}")).collect();
    assert_eq!(all, wanted);
    let doors = [
        (format!("edge.tail({id}, 2)"), &wanted[2..]),
        (format!("edge.tail({id}, after_seq => -1)"), &wanted[..]),
        (format!("edge.poll({id})"), &wanted[..]),
        (format!("edge.poll({id}, 1, max_events => 2)"), &wanted[1..3]),
    ];
    for (door, part) in &doors {
        assert_eq!(scene.db.one::<Vec<String>>(&numbered(door)).await, *part, "{door}");
    }
    let texts: Vec<String> = scene.db.column(&format!("select edge.tail_text({id})")).await;
    assert_eq!(texts, ["Hel", "lo\n"]);
    let at_path: Vec<String> = scene.db.column(&format!("select edge.tail_text({id}, '$.type')")).await;
    assert_eq!(at_path, ["message_start", "content_block_delta", "content_block_delta", "message_stop"]);
    assert_eq!(scene.db.one::<String>(&format!("select edge.stream_text({id})")).await, "Hello\n");
    let same = format!(
        "select bool_and(entry::text = polled::text) from edge.events as entry,
         lateral (select edge.poll({id}, entry.seq - 1, '0', 1) as polled) as poll where entry.call_id = {id}"
    );
    assert!(scene.db.one::<bool>(&same).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_jsonb_cannot_hold_is_there_as_text() {
    let scene = Scene::start().await;
    let id = call(&scene, &scene.db).await;
    let data = [r#"{"a":1}"#, "words", "", r#"{"a":"\ud83d"}"#, r#"{"a":"\u0000"}"#, "{broken", "[DONE]", "7"];
    add(&scene, id, &data).await;
    end(&scene, id, "s", None).await;
    for door in [format!("(edge.tail({id})).*"), format!("* from edge.events where call_id = {id} order by seq")] {
        let rows = scene.db.rows(&format!("select {door}")).await;
        let read: Vec<(String, Option<Value>)> = rows.iter().map(|row| (row.get("data"), row.get("json"))).collect();
        let texts: Vec<&str> = read.iter().map(|(data, _)| data.as_str()).collect();
        assert_eq!(texts, data);
        let json: Vec<bool> = read.iter().map(|(_, json)| json.is_some()).collect();
        assert_eq!(json, [true, false, false, false, false, false, false, true]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_and_large_events_all_come_in_their_order() {
    let scene = Scene::start().await;
    let id = call(&scene, &scene.db).await;
    let sql = "insert into edge_store.event (call_id, seq, received_at, slot, data)
               select $1, seq, now(), slot, case when seq % 100 = 0 then repeat('x', 300000) else 'small' end
               from edge_store.request, generate_series(1, 1500) as seq where id = $1";
    scene.db.rows_with(sql, &[&id]).await;
    end(&scene, id, "s", None).await;
    let read = format!("select (event).seq, length((event).data) from (select edge.tail({id}) as event) as events");
    let rows = scene.db.rows(&read).await;
    assert_eq!(rows.len(), 1500);
    for (row, seq) in rows.iter().zip(1_i64..) {
        let length = if seq % 100 == 0 { 300_000 } else { 5 };
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i32>(1)), (seq, length));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ended_badly_is_told_in_a_notice() {
    let scene = Scene::start().await;
    let table = [
        ("t", Some("the stream broke off"), "has been truncated: the stream broke off"),
        ("f", Some("overloaded"), "has failed: overloaded"),
        ("c", None, "has been cancelled"),
    ];
    for (state, error, told) in table {
        let id = call(&scene, &scene.db).await;
        add(&scene, id, &["words"]).await;
        end(&scene, id, state, error).await;
        for door in ["tail", "tail_text"] {
            let session = scene.cluster.connect().await;
            assert_eq!(session.rows(&format!("select edge.{door}({id})")).await.len(), 1);
            assert_eq!(session.notices(), [format!("call {id} {told}")]);
        }
        let session = scene.cluster.connect().await;
        session.rows(&format!("select edge.poll({id}), edge.stream_text({id})")).await;
        assert!(session.notices().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_its_owners_and_a_monitors() {
    let scene = Scene::start().await;
    let (ada, grace) = (scene.role("ada").await, scene.role("grace").await);
    let id = call(&scene, &ada).await;
    add(&scene, id, &ANSWER).await;
    end(&scene, id, "s", None).await;
    let count = "select count(*) from edge.events";
    assert_eq!((ada.one::<i64>(count).await, grace.one::<i64>(count).await), (4, 0));
    assert_eq!(ada.column::<String>(&format!("select edge.tail_text({id})")).await.concat(), "Hello\n");
    assert_eq!(grace.one::<Option<String>>(&format!("select edge.stream_text({id})")).await, None);
    for door in ["tail", "tail_text", "poll"] {
        let refused = grace.fails(&format!("select edge.{door}({id})")).await;
        assert!(refused.sqlstate == "42704" && refused.message.contains("does not exist"), "{door}: {refused}");
    }
    scene.db.exec("create role nobody login").await;
    let nobody = scene.cluster.connect_as("nobody", "postgres").await;
    for statement in
        ["select edge.tail(1)", "select edge.poll(1)", "select edge.tail_text(1)", "select edge.stream_text(1)", count]
    {
        assert_eq!(nobody.fails(statement).await.sqlstate, "42501", "{statement}");
    }
    scene.db.exec("grant pg_monitor to grace").await;
    // A monitor sees that there were events, and not what they say.
    scene.db.exec("update edge_store.event set event = 'delta', sse_id = 'a secret'").await;
    let counts = "select array[count(*), count(data), count(json), count(event), count(sse_id), count(received_at)] from edge.events";
    assert_eq!(grace.one::<Vec<i64>>(counts).await, [4, 0, 0, 0, 0, 4]);
    assert_eq!(ada.one::<Vec<i64>>(counts).await, [4; 6]);
    assert_eq!(scene.db.one::<Vec<i64>>(counts).await, [4; 6]);
    assert_eq!(grace.fails(&format!("select edge.tail({id})")).await.sqlstate, "42704");
    scene.db.exec("select edge.revoke_access('ada')").await;
    assert_eq!(ada.fails(count).await.sqlstate, "42501");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_of_any_depth_that_jsonb_holds_is_json() {
    let scene = Scene::start().await;
    let id = call(&scene, &scene.db).await;
    let deep = format!("{}1{}", "[".repeat(1_000), "]".repeat(1_000));
    add(&scene, id, &[&deep]).await;
    let same = "select json::text = data from edge.events";
    assert_eq!(scene.db.one::<Option<bool>>(same).await, Some(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_where_it_cannot_be_right_is_an_error_at_once() {
    let scene = Scene::start().await;
    let id = call(&scene, &scene.db).await;
    let own = |door: &str| format!("begin; select edge.{door}(edge.http_get_async('{}'))", scene.peer.url("/own"));
    let frozen = |level: &str, door: &str| format!("begin isolation level {level}; select edge.{door}({id})");
    let table = [
        (own("tail"), "25000", "sent only after its commit"),
        (own("tail_text"), "25000", "sent only after its commit"),
        (own("poll"), "25000", "sent only after its commit"),
        (frozen("repeatable read", "tail"), "25000", "edge.tail needs a transaction that sees new commits"),
        (frozen("serializable", "tail_text"), "25000", "edge.tail_text needs a transaction that sees new commits"),
        (frozen("repeatable read", "poll"), "25000", "edge.poll needs a transaction that sees new commits"),
        ("select edge.tail(4711)".to_owned(), "42704", "call 4711 does not exist"),
        ("select edge.tail_text(4711)".to_owned(), "42704", "call 4711 does not exist"),
        ("select edge.poll(4711)".to_owned(), "42704", "call 4711 does not exist"),
        ("select edge.tail(null)".to_owned(), "22004", "id must not be null"),
        (format!("select edge.tail({id}, null)"), "22004", "after_seq must not be null"),
        (format!("select edge.tail({id}, timeout => null)"), "22004", "timeout must not be null"),
        (format!("select edge.poll({id}, wait => '-1 s')"), "22023", "wait must be zero or longer"),
        (format!("select edge.poll({id}, max_events => 0)"), "22023", "max_events must be at least 1"),
        (format!("select edge.tail_text({id}, 'a..b[*]{{')"), "22023", "path must be like"),
    ];
    for (sql, sqlstate, words) in table {
        let refused = within("it is refused at once", SERVER_DEADLINE, scene.db.fails(&sql)).await;
        assert!(refused.sqlstate == sqlstate && refused.message.contains(words), "{sql}: {refused}");
        scene.db.exec("rollback").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_no_waiting_is_read_under_an_old_snapshot_too() {
    let scene = Scene::start().await;
    let id = call(&scene, &scene.db).await;
    add(&scene, id, &ANSWER).await;
    scene.db.exec("begin isolation level repeatable read").await;
    assert_eq!(scene.db.rows(&format!("select edge.poll({id})")).await.len(), 4);
    assert_eq!(scene.db.rows(&format!("select edge.poll({id}, 4, '0')")).await.len(), 0);
    assert_eq!(scene.db.one::<String>(&format!("select edge.stream_text({id})")).await, "Hello\n");
    scene.db.exec("commit").await;
    end(&scene, id, "s", None).await;
    scene.db.exec("begin isolation level repeatable read").await;
    assert_eq!(scene.db.rows(&format!("select edge.tail({id})")).await.len(), 4);
    scene.db.exec("commit").await;
}
