//! Queueing messages: what becomes of each kind, transactions, and limits.

use super::{NOWHERE, open, quiet};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, eventually};

const QUEUED: &str = "select count(*) from edge.ws_messages where state = 'queued'";

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_text_json_or_bytes_and_a_plain_literal_is_text() {
    let (_cluster, db) = quiet().await;
    open(&db, "room").await;
    for payload in [
        "'hello'",
        "'{\"a\": 1}'",
        "'{\"a\": 1.50, \"b\": 12345678901234567890123}'::jsonb",
        "jsonb_build_object('n', null)",
        "'\\x00ff'::bytea",
        "''",
        "''::bytea",
        "'hello'::varchar",
        "E'caf\u{e9} \\u00e9 \\U0001F600'",
        "payload => 'named'",
    ] {
        db.exec(&format!("select edge.ws_send('room', {payload})")).await;
    }
    db.exec("prepare say as select edge.ws_send('room', $1); execute say('prepared')").await;
    let shown = "select concat_ws(' | ', kind, coalesce(data, '-'), coalesce(encode(data_bytes, 'hex'), '-'), coalesce(json::text, '-'))
                 from edge.ws_messages order by id";
    let exact = r#"{"a": 1.50, "b": 12345678901234567890123}"#;
    assert_eq!(
        db.column::<String>(shown).await,
        [
            "text | hello | - | -",
            "text | {\"a\": 1} | - | {\"a\": 1}",
            &format!("json | {exact} | - | {exact}"),
            "json | {\"n\": null} | - | {\"n\": null}",
            "bytes | - | 00ff | -",
            "text |  | - | -",
            "bytes | - |  | -",
            "text | hello | - | -",
            "text | caf\u{e9} \u{e9} \u{1F600} | - | -",
            "text | named | - | -",
            "text | prepared | - | -",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_belongs_to_the_transaction_that_sends_it() {
    let (cluster, db) = quiet().await;
    let other = cluster.connect().await;
    open(&db, "room").await;
    db.exec("begin; select edge.ws_send('room', 'never'); rollback").await;
    assert_eq!(db.one::<i64>(QUEUED).await, 0);
    db.exec("begin").await;
    let first: i64 = db.one("select edge.ws_send('room', 'one')").await;
    db.exec("savepoint s; select edge.ws_send('room', 'undone'); rollback to s").await;
    let second: i64 = db.one("select edge.ws_send('room', 'two')").await;
    assert!(first < second);
    assert_eq!(other.one::<i64>(QUEUED).await, 0, "nobody sees it before the commit");
    assert_eq!(db.one::<i64>("select queued from edge.ws_connections").await, 2, "but the transaction itself");
    db.exec("commit").await;
    assert_eq!(other.column::<i64>("select id from edge.ws_messages order by id").await, [first, second]);
    db.exec("do $$ begin perform edge.ws_send('room', 'x'); raise 'oh'; exception when others then null; end $$").await;
    assert_eq!(db.one::<i64>(QUEUED).await, 2, "a block that fails takes its message along");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_can_be_opened_used_and_closed_in_one_transaction() {
    let (_cluster, db) = quiet().await;
    db.exec(&format!(
        "begin; select edge.ws_open('room', '{NOWHERE}'); select edge.ws_send('room', 'hello'); select edge.ws_close('room')"
    ))
    .await;
    assert_eq!(db.one::<i64>(QUEUED).await, 1);
    let refused = db.fails("select edge.ws_send('room', 'late')").await;
    assert_eq!(refused.sqlstate, "55000");
    db.exec("rollback").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_transaction_sends_when_it_is_committed_and_never_when_it_is_rolled_back() {
    let cluster =
        Cluster::builder().setting("max_prepared_transactions", "5").setting("pg_edge.ws_max_connections", "0").start();
    let db = cluster.create_extension("postgres").await;
    open(&db, "room").await;
    for name in ["kept", "undone"] {
        db.exec(&format!("begin; select edge.ws_send('room', '{name}'); prepare transaction '{name}'")).await;
    }
    assert_eq!(db.one::<i64>(QUEUED).await, 0);
    db.exec("rollback prepared 'undone'").await;
    db.exec("commit prepared 'kept'").await;
    assert_eq!(db.column::<String>("select data from edge.ws_messages").await, ["kept"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_over_the_limit_is_refused_and_one_at_the_limit_is_queued() {
    let cluster = Cluster::builder()
        .setting("pg_edge.ws_max_message_bytes", "1000")
        .setting("pg_edge.ws_max_connections", "0")
        .start();
    let db = cluster.create_extension("postgres").await;
    open(&db, "room").await;
    for (fits, payload) in [
        (true, "repeat('x', 1000)"),
        (false, "repeat('x', 1001)"),
        (true, "repeat('\u{e9}', 500)"),
        (false, "repeat('\u{e9}', 501)"),
        (true, "to_jsonb(repeat('x', 998))"),
        (false, "to_jsonb(repeat('x', 999))"),
        (true, "convert_to(repeat('x', 1000), 'UTF8')"),
        (false, "convert_to(repeat('x', 1001), 'UTF8')"),
    ] {
        let send = format!("select edge.ws_send('room', {payload})");
        if fits {
            db.exec(&send).await;
        } else {
            let refused = db.fails(&send).await;
            assert_eq!(refused.sqlstate, "22023", "{payload}");
            assert!(
                refused.message.ends_with("bytes, more than the 1000 of pg_edge.ws_max_message_bytes"),
                "{refused}"
            );
        }
    }
    let refused = db.fails(&format!("select edge.ws_open('room', '{NOWHERE}', heartbeat => repeat('x', 1001))")).await;
    assert_eq!(refused.message, "the heartbeat has 1001 bytes, more than the 1000 of pg_edge.ws_max_message_bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_more_than_may_wait_is_refused_and_there_is_room_again_once_some_are_gone() {
    let cluster =
        Cluster::builder().setting("pg_edge.ws_max_queued", "100").setting("pg_edge.ws_max_connections", "0").start();
    let db = cluster.create_extension("postgres").await;
    let room = open(&db, "room").await;
    open(&db, "other").await;
    // What the dispatcher says of them it says once, and not in the middle of what follows.
    eventually("the dispatcher knows of both", SERVER_DEADLINE, || {
        db.one::<bool>("select count(*) = 2 from edge_store.ws_state")
    })
    .await;
    let many = |count: i32| format!("select edge.ws_send('room', n::text) from generate_series(1, {count}) as n");
    db.exec("begin").await;
    db.exec(&many(100)).await;
    let refused = db.fails("select edge.ws_send('room', 'more')").await;
    assert_eq!(refused.sqlstate, "53400");
    assert_eq!(refused.message, "too many messages wait to be sent over websocket \"room\"");
    assert!(refused.hint.contains("pg_edge.ws_max_queued allows 100"), "{refused}");
    db.exec("rollback").await;
    assert_eq!(db.fails(&many(101)).await.sqlstate, "53400", "also within one statement");
    db.exec(&many(100)).await;
    db.exec("select edge.ws_send('other', 'has room of its own')").await;
    assert_eq!(cluster.connect().await.fails(&many(1)).await.sqlstate, "53400", "whoever sends");
    // What was sent makes room, although a message before it keeps the mark from moving.
    db.exec("begin").await;
    let sent = format!(
        "insert into edge_store.ws_outcome (message_id, at, slot, state)
         select id, now(), slot, 's' from edge_store.ws_outgoing where connection_id = {room} order by id offset 1 limit 10"
    );
    db.exec(&sent).await;
    db.exec(&many(10)).await;
    assert_eq!(db.fails(&many(1)).await.sqlstate, "53400");
    db.exec("rollback").await;
    // So does what lies below the mark.
    db.exec("begin").await;
    db.exec(&format!(
        "delete from edge_store.ws_state where connection_id = {room};
         insert into edge_store.ws_state (connection_id, revision, state, unsent_from)
         select {room}, 1, 'open', id from edge_store.ws_outgoing where connection_id = {room} order by id offset 40 limit 1"
    ))
    .await;
    assert_eq!(db.one::<i64>(&format!("select queued from edge.ws_connections where id = {room}")).await, 60);
    db.exec(&many(40)).await;
    assert_eq!(db.fails(&many(1)).await.sqlstate, "53400");
    db.exec("rollback").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_others_that_have_not_been_committed_take_no_room() {
    let cluster =
        Cluster::builder().setting("pg_edge.ws_max_queued", "10").setting("pg_edge.ws_max_connections", "0").start();
    let db = cluster.create_extension("postgres").await;
    open(&db, "room").await;
    let other = cluster.connect().await;
    let ten = "select edge.ws_send('room', n::text) from generate_series(1, 10) as n";
    db.exec("begin").await;
    db.exec(ten).await;
    other.exec(ten).await;
    db.exec("rollback").await;
    assert_eq!(other.fails(ten).await.sqlstate, "53400");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_queued_on_a_standby_or_in_a_transaction_that_only_reads() {
    let (_cluster, db) = quiet().await;
    open(&db, "room").await;
    for what in ["edge.ws_send('room', 'x')", "edge.ws_open('room', 'wss://h/')", "edge.ws_close('room')"] {
        let refused = db.fails(&format!("begin read only; select {what}")).await;
        assert_eq!(refused.sqlstate, "25006", "{what}: {refused}");
        db.exec("rollback").await;
    }
}
