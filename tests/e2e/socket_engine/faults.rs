//! Transactions that fail, and rows that make no sense.

use super::{Stage, all_taken, comes_true, reaches, say};
use crate::faults::{dispatcher, successor};

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_fails_loses_no_message_that_came() {
    let stage = Stage::start().await;
    stage.open("a").await;
    for (number, action) in ["error", "disk_full"].into_iter().enumerate() {
        stage.cluster.fail_at("before_message_commit", action);
        for text in ["one", "two", "three"] {
            stage.peer.text(1, format!("{action} {text}"));
        }
        let heard = format!("select count(*) = {} from edge_store.ws_incoming", 3 * (number + 1));
        comes_true(&stage.db, "they are stored", &heard).await;
        assert!(!stage.cluster.failpoint_is_armed());
    }
    let texts: Vec<String> = stage.db.column("select data from edge.ws_messages order by id").await;
    let expected = ["error one", "error two", "error three", "disk_full one", "disk_full two", "disk_full three"];
    assert_eq!(texts, expected);
    assert_eq!(stage.db.one::<i64>("select received from edge.ws_connections").await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispatcher_that_dies_right_after_it_wrote_what_was_taken_has_a_successor_that_goes_on() {
    let stage = Stage::start().await;
    stage.open("a").await;
    let worker = dispatcher(&stage.cluster, "postgres").await;
    stage.cluster.fail_at("after_outcome_commit", "kill");
    say(&stage.db, "a", "once").await;
    successor(&stage.cluster, "dispatcher", "postgres", worker).await;
    let db = stage.cluster.connect().await;
    reaches(&db, "a", "open").await;
    say(&db, "a", "and another").await;
    all_taken(&db).await;
    assert_eq!(stage.peer.texts().last().map(String::as_str), Some("and another"));
    // The outcome may be lost with the process, as its commit does not wait for the disk; the message never is.
    assert_eq!(stage.peer.texts().first().map(String::as_str), Some("once"));
    assert!(stage.peer.texts().len() <= 3, "{:?}", stage.peer.texts());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_makes_no_sense_fails_by_itself() {
    let stage = Stage::start().await;
    for name in ["url", "headers", "endpoint"] {
        stage.open(name).await;
    }
    stage
        .db
        .exec(
            "update edge_store.ws_connection set revision = revision + 1,
                 url = case name when 'url' then 'no url' else url end,
                 headers = case name when 'headers' then 'no header' end,
                 endpoint = case name when 'endpoint' then 'nowhere' end",
        )
        .await;
    // Somebody else's wish has them looked at.
    stage.open("fine").await;
    for (number, name) in ["url", "headers", "endpoint"].into_iter().enumerate() {
        // They stand as they were made, until they are lost.
        stage.peer.reset(number + 1);
        let failed = reaches(&stage.db, name, "failed").await;
        let error: String = failed.get("last_error");
        assert!(error.len() > 10, "{error}");
    }
    say(&stage.db, "fine", "still here").await;
    all_taken(&stage.db).await;
    stage.peer.wait_for_open(1).await;
}
