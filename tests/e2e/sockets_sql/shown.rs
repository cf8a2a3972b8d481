//! What the views make of what is wanted and what is.

use super::{open, quiet};
use crate::harness::Db;

/// As if a dispatcher had said so of a wish.
async fn say(db: &Db, id: i64, revision: i64, state: &str) {
    db.exec(&format!(
        "delete from edge_store.ws_state;
         insert into edge_store.ws_state (connection_id, revision, state, last_error, handshake_status, subprotocol, sent)
         values ({id}, {revision}, '{state}', 'the server answered the handshake with 426 Upgrade Required', 426, 'chat', 7)"
    ))
    .await;
}

const STATE: &str = "select state from edge.ws_connections";

#[tokio::test(flavor = "multi_thread")]
async fn the_state_is_what_the_dispatcher_said_of_this_very_wish() {
    let (_cluster, db) = quiet().await;
    db.exec("begin").await;
    let id = open(&db, "room").await;
    assert_eq!(db.one::<String>(STATE).await, "connecting", "nobody has looked at it yet");
    for state in ["connecting", "open", "waiting", "closing", "closed", "failed"] {
        say(&db, id, 1, state).await;
        assert_eq!(db.one::<String>(STATE).await, state);
    }
    let told =
        "select concat_ws(', ', last_error, handshake_status, subprotocol, sent, received) from edge.ws_connections";
    let told: String = db.one(told).await;
    assert_eq!(told, "the server answered the handshake with 426 Upgrade Required, 426, chat, 7, 0");
    db.exec("rollback").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_that_nobody_has_looked_at_yet_shows_where_it_leads() {
    let (_cluster, db) = quiet().await;
    db.exec("begin").await;
    let id = open(&db, "room").await;
    db.exec("select edge.ws_open('room', 'ws://127.0.0.1:1/other')").await;
    for (state, shown) in [
        ("connecting", "connecting"),
        ("open", "open"),
        ("waiting", "waiting"),
        ("closing", "connecting"),
        ("closed", "connecting"),
        ("failed", "connecting"),
    ] {
        say(&db, id, 1, state).await;
        assert_eq!(db.one::<String>(STATE).await, shown, "{state}, and wanted otherwise");
    }
    db.exec("select edge.ws_close('room')").await;
    for (state, shown) in [
        ("connecting", "closing"),
        ("open", "closing"),
        ("waiting", "closing"),
        ("closing", "closing"),
        ("closed", "closed"),
        ("failed", "closed"),
    ] {
        say(&db, id, 2, state).await;
        assert_eq!(db.one::<String>(STATE).await, shown, "{state}, and not wanted any more");
    }
    db.exec("update edge_store.ws_state set close_code = 1001, close_reason = 'the peer said so before'").await;
    let code = "select concat_ws(' ', close_code, close_reason) from edge.ws_connections";
    assert_eq!(db.one::<String>(code).await, "1000 ", "what it is told now");
    db.exec("delete from edge_store.ws_state").await;
    assert_eq!(db.one::<String>(STATE).await, "closed", "never opened");
    db.exec("rollback").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_queued_until_something_is_known_of_it() {
    let (_cluster, db) = quiet().await;
    db.exec("begin").await;
    let room = open(&db, "room").await;
    for words in ["waits", "went", "lost"] {
        db.exec(&format!("select edge.ws_send('room', '{words}')")).await;
    }
    db.exec(
        "insert into edge_store.ws_outcome (message_id, at, slot, state, error)
         select id, '2030-01-02', slot, case data when 'went' then 's' else 'f' end::\"char\", case data when 'lost' then 'why' end
         from edge_store.ws_outgoing where data <> 'waits'",
    )
    .await;
    db.exec(&format!(
        "with came (id, kind, data, data_bytes) as (
             values (1000, 't', 'plain', null), (1001, 't', '{{\"a\": 1}}', null), (1002, 'b', null, '\\x00'::bytea),
                    (1003, 't', null, '\\x6100'::bytea))
         insert into edge_store.ws_incoming (id, connection_id, received_at, owner, slot, kind, data, data_bytes)
         select id, {room}, '2030-01-01', 10, 3, kind::\"char\", data, data_bytes from came;
         insert into edge_store.ws_outcome (message_id, at, slot, state, error) values (1001, now(), 3, 'e', 'P0001: oh')"
    ))
    .await;
    let rows = db
        .rows(
            "select direction, kind, concat_ws('|', data, data_bytes, json), state, error, connection, sent_at is not null
             from edge.ws_messages order by id",
        )
        .await;
    let rows: Vec<String> = rows
        .iter()
        .map(|row| {
            let text = |n: usize| row.get::<_, Option<String>>(n).unwrap_or_default();
            format!("{} {} {} {} {} {} {}", text(0), text(1), text(2), text(3), text(4), text(5), row.get::<_, bool>(6))
        })
        .collect();
    assert_eq!(
        rows,
        [
            "out text waits queued  room false",
            "out text went sent  room true",
            "out text lost failed why room false",
            "in text plain received  room false",
            "in text {\"a\": 1}|{\"a\": 1} received P0001: oh room false",
            "in bytes \\x00 received  room false",
            "in text \\x6100 received  room false",
        ]
    );
    assert_eq!(db.one::<i64>("select queued from edge.ws_connections").await, 1);
    db.exec("rollback").await;
}
