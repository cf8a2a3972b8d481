//! Saying once more what was said of a websocket.

use super::{Stage, all_taken, reaches, say};
use crate::harness::ws_peer::{Answer, Manner};

#[tokio::test(flavor = "multi_thread")]
async fn one_that_failed_is_opened_as_it_was_wanted_and_its_messages_go_out() {
    let stage = Stage::start().await;
    stage.peer.on("/room", Answer::refuse(401));
    let id = stage.want("room", ", '{\"X-Of\": \"mine\"}'").await;
    reaches(&stage.db, "room", "failed").await;
    say(&stage.db, "room", "waits").await;
    stage.peer.on("/room", Answer::Accept(Manner::Listen));
    assert_eq!(stage.db.one::<i64>("select edge.ws_reopen('room')").await, id);
    reaches(&stage.db, "room", "open").await;
    all_taken(&stage.db).await;
    assert_eq!(stage.peer.texts(), ["waits"]);
    assert_eq!(stage.peer.arrivals().last().and_then(|arrival| arrival.header("x-of")), Some("mine"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_waits_is_tried_at_once() {
    let stage = Stage::start().await;
    stage.peer.on("/room", Answer::Refuse(503, vec![("retry-after", "600".to_owned())]));
    stage.want("room", "").await;
    reaches(&stage.db, "room", "waiting").await;
    stage.peer.on("/room", Answer::Accept(Manner::Listen));
    stage.db.exec("select edge.ws_reopen('room')").await;
    reaches(&stage.db, "room", "open").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_stands_is_left_alone_and_one_that_is_not_there_is_an_error() {
    let stage = Stage::start().await;
    stage.open("room").await;
    stage.db.exec("select edge.ws_reopen('room')").await;
    say(&stage.db, "room", "over the same connection").await;
    all_taken(&stage.db).await;
    assert_eq!(stage.peer.arrivals().len(), 1);
    let refused = stage.db.fails("select edge.ws_reopen('rooom')").await;
    assert_eq!(refused.sqlstate, "42704");
}
