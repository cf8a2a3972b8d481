//! A connection that is changed is replaced: the new one is opened before the old one is closed.

use super::{Stage, all_taken, comes_true, say};
use crate::harness::ws_peer::Answer;

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_wanted_elsewhere_moves_without_a_gap() {
    let stage = Stage::start().await;
    stage.open("a").await;
    say(&stage.db, "a", "to the old one").await;
    all_taken(&stage.db).await;
    let url = stage.peer.url("/elsewhere");
    stage
        .db
        .exec(&format!(
            "begin; select edge.ws_open('a', '{url}'); select edge.ws_send('a', 'to the new one'::text); commit"
        ))
        .await;
    all_taken(&stage.db).await;
    stage.peer.wait_for_end(1).await;
    assert_eq!(stage.peer.texts_of(1), ["to the old one"]);
    assert_eq!(stage.peer.texts_of(2), ["to the new one"]);
    comes_true(
        &stage.db,
        "both are counted",
        "select state = 'open' and sent = 2 and reconnects = 1 from edge.ws_connections",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_cannot_be_had_elsewhere_stays_where_it_is() {
    let stage = Stage::start().await;
    stage.peer.on("/nowhere", Answer::refuse(503));
    stage.open("a").await;
    let url = stage.peer.url("/nowhere");
    stage.db.exec(&format!("select edge.ws_open('a', '{url}')")).await;
    comes_true(
        &stage.db,
        "it is said that it cannot be moved",
        "select handshake_status is not distinct from 503 and state = 'open' from edge.ws_connections",
    )
    .await;
    say(&stage.db, "a", "still here").await;
    all_taken(&stage.db).await;
    assert_eq!(stage.peer.texts_of(1), ["still here"]);
    stage.peer.on("/nowhere", Answer::Accept(crate::harness::ws_peer::Manner::Listen));
    stage.peer.wait_for_end(1).await;
    say(&stage.db, "a", "moved").await;
    all_taken(&stage.db).await;
    assert_eq!(stage.peer.texts().last().map(String::as_str), Some("moved"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_function_or_age_alone_touches_no_connection() {
    let stage = Stage::start().await;
    stage.db.exec("create function hear(message edge.ws_message) returns void language sql as ''").await;
    stage.open("a").await;
    stage.want("a", ", on_message => 'hear', max_age => '1 hour'").await;
    stage.open("b").await;
    comes_true(
        &stage.db,
        "the wish is known",
        "select state.revision = wish.revision from edge_store.ws_state as state
         join edge_store.ws_connection as wish on wish.id = state.connection_id where wish.name = 'a'",
    )
    .await;
    assert_eq!((stage.peer.arrivals().len(), stage.peer.open()), (2, 2));
}
