//! Asking for a websocket, asking again, and asking for its end.

use super::{NOWHERE, open, quiet, revision};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_shown_as_it_was_asked_for() {
    let (_cluster, db) = quiet().await;
    db.exec("create function hear(edge.ws_message) returns void language sql as 'select'").await;
    db.exec("select edge.create_endpoint('fn', 'https://f.example/functions/v1')").await;
    db.exec("begin").await;
    let id: i64 = db
        .one(
            r#"select edge.ws_open('room', 'relay?room=a&token=hush', '{"x-team": "a", "apikey": "${secret:k}", "x-own": "hush"}',
                                   '{v2.chat, v1.chat}', 'hear', '{"event": "heartbeat"}', '140 s', 'fn')"#,
        )
        .await;
    let row = &db.rows("select * from edge.ws_connections").await[0];
    let text = |column: &str| row.get::<_, Option<String>>(column);
    assert_eq!(row.get::<_, i64>("id"), id);
    assert_eq!(text("name").as_deref(), Some("room"));
    assert_eq!(text("state").as_deref(), Some("connecting"));
    assert_eq!(text("url").as_deref(), Some("wss://f.example/functions/v1/relay?room=a&token=***"));
    assert_eq!(text("endpoint").as_deref(), Some("fn"));
    assert_eq!(text("on_message").as_deref(), Some("public.hear(edge.ws_message)"));
    assert_eq!(text("heartbeat").as_deref(), Some(r#"{"event": "heartbeat"}"#));
    assert_eq!(row.get::<_, Vec<String>>("subprotocols"), ["v2.chat", "v1.chat"]);
    assert_eq!(row.get::<_, serde_json::Value>("headers")["apikey"], "${secret:k}");
    assert_eq!(row.get::<_, serde_json::Value>("headers")["x-own"], "***");
    for count in ["sent", "received", "reconnects", "queued"] {
        assert_eq!(row.get::<_, i64>(count), 0, "{count}");
    }
    for unknown in ["last_error", "close_reason", "subprotocol"] {
        assert_eq!(text(unknown), None, "{unknown}");
    }
    assert_eq!(db.one::<String>("select max_age::text || owner from edge.ws_connections").await, "00:02:20postgres");
    db.exec("rollback").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_again_changes_nothing_unless_it_asks_for_something_else() {
    let (_cluster, db) = quiet().await;
    db.exec("create function hear(edge.ws_message) returns void language sql as 'select'").await;
    db.exec("create function listen(edge.ws_message) returns void language sql as 'select'").await;
    db.exec("select edge.create_endpoint('fn', 'http://127.0.0.1:1/')").await;
    let id = open(&db, "room").await;
    assert_eq!(open(&db, "room").await, id);
    assert_eq!(revision(&db, "room").await, 1);
    let before: String = db.one("select updated_at::text from edge.ws_connections").await;
    let same = "edge.ws_open('room', 'HTTP://127.0.0.1:1/room', null, '{}', null, null, null, null)";
    assert_eq!(db.one::<i64>(&format!("select {same}")).await, id, "all that is left out, and the scheme turned");
    assert_eq!(db.one::<String>("select updated_at::text from edge.ws_connections").await, before);
    assert_eq!(revision(&db, "room").await, 1);
    for (number, other) in [
        "'ws://127.0.0.1:1/other'",
        "'room', endpoint => 'fn'",
        "$1, headers => '{\"x\": \"1\"}'",
        "$1, headers => '{\"x\": \"2\"}'",
        "$1, subprotocols => '{a}'",
        "$1, subprotocols => '{a, b}'",
        "$1, on_message => 'hear'",
        "$1, on_message => 'listen'",
        "$1, heartbeat => 'tick'",
        "$1, max_age => '1 minute'",
        "$1, max_age => '1 hour'",
        "$1",
    ]
    .iter()
    .enumerate()
    {
        let other = format!("select edge.ws_open('room', {})", other.replace("$1", &format!("'{NOWHERE}'")));
        for _ in 0..2 {
            assert_eq!(db.one::<i64>(&other).await, id, "{other}");
            assert_eq!(revision(&db, "room").await, number as i64 + 2, "{other}");
        }
    }
    let other = open(&db, "other").await;
    assert_eq!(other, id + 1, "no number was drawn in vain");
    assert_eq!(db.one::<i64>("select count(*) from edge.ws_connections").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_is_kept_by_its_name_and_with_whose_it_is() {
    let (_cluster, db) = quiet().await;
    let function = "create function hear(edge.ws_message) returns void language sql as 'select'";
    db.exec(function).await;
    let say = format!("select edge.ws_open('room', '{NOWHERE}', on_message => 'hear')");
    db.exec(&say).await;
    let kept = "select on_message || ' ' || on_message_of from edge_store.ws_connection";
    assert_eq!(db.one::<String>(kept).await, "public.hear(edge.ws_message) postgres");
    db.exec(&format!("drop function hear; {function}")).await;
    db.exec(&say).await;
    assert_eq!(revision(&db, "room").await, 1, "it is made anew by the same role");
    db.exec("create role ada; alter function hear owner to ada").await;
    db.exec(&say).await;
    assert_eq!(db.one::<String>(kept).await, "public.hear(edge.ws_message) ada");
    assert_eq!(revision(&db, "room").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_closed_or_has_failed_is_opened_again_by_asking_again() {
    let (_cluster, db) = quiet().await;
    db.exec("begin").await;
    let id = open(&db, "room").await;
    let mut wanted = 1;
    for (state, is_over) in [
        ("connecting", false),
        ("open", false),
        ("waiting", false),
        ("closing", false),
        ("failed", true),
        ("closed", true),
    ] {
        db.exec(&format!(
            "delete from edge_store.ws_state;
             insert into edge_store.ws_state (connection_id, revision, state) values ({id}, {wanted}, '{state}')"
        ))
        .await;
        assert_eq!(open(&db, "room").await, id);
        wanted += i64::from(is_over);
        assert_eq!(revision(&db, "room").await, wanted, "{state}");
    }
    assert!(db.one::<bool>("select edge.ws_close('room', 4001, 'bye')").await);
    assert_eq!(revision(&db, "room").await, wanted + 1);
    let said = "select concat_ws(' ', wanted, close_code, close_reason) from edge_store.ws_connection";
    assert_eq!(db.one::<String>(said).await, "f 4001 bye");
    assert_eq!(open(&db, "room").await, id);
    assert_eq!(revision(&db, "room").await, wanted + 2);
    assert_eq!(db.one::<String>(said).await, "t", "what was said at its end is not said of the next one");
    db.exec("rollback").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_tells_whether_there_was_one_to_close() {
    let (_cluster, db) = quiet().await;
    let close = "select edge.ws_close('room')";
    assert!(!db.one::<bool>(close).await);
    open(&db, "room").await;
    assert!(db.one::<bool>(close).await);
    assert!(!db.one::<bool>(close).await, "it has been closed");
    assert_eq!(revision(&db, "room").await, 2);
    db.exec(&format!("begin; select edge.ws_open('room', '{NOWHERE}'); rollback")).await;
    assert!(!db.one::<bool>(close).await);
    open(&db, "room").await;
    db.exec("begin; select edge.ws_close('room'); rollback").await;
    assert!(db.one::<bool>("select wanted from edge_store.ws_connection").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_that_is_rolled_back_was_never_asked_for() {
    let (_cluster, db) = quiet().await;
    db.exec(&format!("begin; select edge.ws_open('room', '{NOWHERE}'); rollback")).await;
    assert_eq!(db.one::<i64>("select count(*) from edge.ws_connections").await, 0);
    assert_eq!(db.fails("select edge.ws_send('room', 'hello')").await.sqlstate, "42704");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sessions_that_ask_at_once_get_the_same_one() {
    let (cluster, db) = quiet().await;
    let other = cluster.connect().await;
    db.exec("begin").await;
    let id = open(&db, "room").await;
    let (second, ()) = tokio::join!(open(&other, "room"), async { db.exec("commit").await });
    assert_eq!(second, id);
    assert_eq!(revision(&db, "room").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_has_websockets_is_dropped_only_by_force() {
    let (_cluster, db) = quiet().await;
    db.exec("select edge.create_endpoint('fn', 'http://127.0.0.1:1/')").await;
    db.exec("select edge.ws_open('b', 'room', endpoint => 'fn'), edge.ws_open('a', '', endpoint => 'fn')").await;
    let refused = db.fails("select edge.drop_endpoint('fn')").await;
    assert_eq!(refused.sqlstate, "55006");
    assert_eq!(refused.message, "endpoint \"fn\" has 2 websocket(s), such as \"a\"");
    db.exec("select edge.ws_close('a')").await;
    assert!(db.fails("select edge.drop_endpoint('fn')").await.message.contains("1 websocket(s), such as \"b\""));
    db.exec("select edge.drop_endpoint('fn', force => true)").await;
    assert_eq!(db.one::<String>("select url from edge.ws_connections where name = 'b'").await, "room");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_ask_at_once_get_no_more_than_the_role_may_have() {
    let cluster =
        Cluster::builder().setting("pg_edge.ws_max_per_role", "2").setting("pg_edge.ws_max_connections", "0").start();
    let db = cluster.create_extension("postgres").await;
    let (same, more) = (cluster.connect().await, cluster.connect().await);
    open(&db, "first").await;
    db.exec("begin").await;
    let second = open(&db, "second").await;
    let third = format!("select edge.ws_open('third', '{NOWHERE}')");
    let waits = "select count(*) = 2 from pg_locks where locktype = 'advisory' and not granted";
    let (again, refused, ()) = tokio::join!(open(&same, "second"), more.fails(&third), async {
        eventually("both wait", SERVER_DEADLINE, || db.one::<bool>(waits)).await;
        db.exec("commit").await;
    });
    assert_eq!(again, second, "one that there is by then is as good");
    assert_eq!(refused.sqlstate, "53400");
    // Those of another role wait for nobody.
    db.exec("begin; select edge.ws_close('first')").await;
    db.exec(&third).await;
    more.exec("create role other; select edge.grant_access('other'); set role other").await;
    open(&more, "of another role").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_websocket_more_than_a_role_may_have_is_refused_and_there_is_room_again_once_one_is_closed() {
    let cluster =
        Cluster::builder().setting("pg_edge.ws_max_per_role", "2").setting("pg_edge.ws_max_connections", "0").start();
    let db = cluster.create_extension("postgres").await;
    open(&db, "first").await;
    let second = open(&db, "second").await;
    let more = format!("select edge.ws_open('third', '{NOWHERE}')");
    let refused = db.fails(&more).await;
    assert_eq!(refused.sqlstate, "53400");
    assert_eq!(refused.message, "role postgres has as many websockets as it may");
    assert!(refused.hint.contains("pg_edge.ws_max_per_role allows 2"), "{refused}");
    assert_eq!(open(&db, "second").await, second, "one that there is may be asked for again");
    db.exec("select edge.ws_close('first')").await;
    db.exec(&more).await;
    assert_eq!(
        db.fails("select edge.ws_reopen('first')").await.sqlstate,
        "53400",
        "opening again takes a place as well"
    );
    db.exec("create role other; select edge.grant_access('other'); set role other").await;
    open(&db, "of another role").await;
}
