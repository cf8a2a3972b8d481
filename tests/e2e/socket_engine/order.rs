//! What is sent, once, and in which order.

use super::{Stage, all_taken, comes_true, reaches, say};
use crate::harness::ws_peer::Said;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_a_transaction_that_commits_late_is_sent_after_those_that_were_seen_before() {
    let stage = Stage::start().await;
    stage.open("a").await;
    let late = stage.cluster.connect().await;
    late.exec("begin; select edge.ws_send('a', 'first'::text)").await;
    let first_of_all: i64 = late.one("select max(id) from edge.ws_messages").await;
    for number in 0..50 {
        assert!(say(&stage.db, "a", &format!("{number}")).await > first_of_all);
    }
    stage.peer.wait_for_texts(50).await;
    assert!(!stage.peer.texts().contains(&"first".to_owned()));
    late.exec("select edge.ws_send('a', 'last'::text)").await;
    late.exec("commit").await;
    all_taken(&stage.db).await;
    let mut expected: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    expected.extend(["first".to_owned(), "last".to_owned()]);
    assert_eq!(stage.peer.texts(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rolled_back_is_never_sent_and_what_many_sessions_say_at_once_is_sent_once() {
    const SPEAKERS: usize = 6;
    const MESSAGES: usize = 120;
    let stage = Stage::start().await;
    stage.open("a").await;
    let mut speakers = tokio::task::JoinSet::new();
    for speaker in 0..SPEAKERS {
        let db = stage.cluster.connect().await;
        speakers.spawn(async move {
            for number in 0..MESSAGES {
                let end = if number % 3 == 2 { "rollback" } else { "commit" };
                db.exec(&format!("begin; select edge.ws_send('a', '{speaker} {number} {end}'::text); {end}")).await;
            }
        });
    }
    speakers.join_all().await;
    all_taken(&stage.db).await;
    let heard = stage.peer.texts();
    assert_eq!(heard.len(), SPEAKERS * MESSAGES * 2 / 3);
    assert!(heard.iter().all(|text| text.ends_with("commit")));
    for speaker in 0..SPEAKERS {
        let of_one: Vec<usize> = heard
            .iter()
            .filter_map(|text| text.strip_prefix(&format!("{speaker} "))?.split(' ').next()?.parse().ok())
            .collect();
        assert!(of_one.is_sorted(), "{speaker}: {of_one:?}");
        assert_eq!(of_one.len(), MESSAGES * 2 / 3);
    }
}

/// Far more than is kept in memory, of all sizes: what does not fit is read again from the table, in its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_queue_of_all_sizes_is_sent_in_order() {
    let stage = Stage::start().await;
    stage.want("a", "").await;
    reaches(&stage.db, "a", "open").await;
    stage.peer.stop_reading(1);
    stage
        .db
        .exec(
            "select edge.ws_send('a', n || ' ' || repeat('x', case when n % 100 = 0 then 900000 when n % 10 = 0 then 30000 else 5 end))
             from generate_series(1, 4000) as n",
        )
        .await;
    stage.db.exec(r"select edge.ws_send('a', '\x00ff'::bytea)").await;
    stage.peer.go_on_reading(1);
    all_taken(&stage.db).await;
    let heard: Vec<usize> = stage.peer.texts().iter().map(|text| number(text)).collect();
    assert_eq!(heard, (1..=4000).collect::<Vec<_>>());
    let is_binary =
        |heard: &crate::harness::ws_peer::Heard| matches!(&heard.said, Said::Bytes(bytes) if bytes[..] == [0, 255]);
    assert_eq!(stage.peer.heard().iter().filter(|heard| is_binary(heard)).count(), 1);
    comes_true(&stage.db, "what was sent is counted", "select sent = 4001 from edge.ws_connections").await;
    comes_true(
        &stage.db,
        "what has been sent is not looked at again",
        "select unsent_from > (select max(id) from edge_store.ws_outgoing) from edge_store.ws_state",
    )
    .await;
}

fn number(text: &str) -> usize {
    text.split(' ').next().and_then(|number| number.parse().ok()).expect("it begins with a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_queued_before_a_close_is_sent_and_what_cannot_be_has_failed() {
    let stage = Stage::start().await;
    stage.open("a").await;
    stage.db.exec("begin; select edge.ws_send('a', n::text) from generate_series(1, 2000) n; select edge.ws_close('a', 3005, 'enough'); commit").await;
    let shown = reaches(&stage.db, "a", "closed").await;
    assert_eq!(shown.get::<_, Option<i32>>("close_code"), Some(3005));
    assert_eq!(stage.peer.texts().len(), 2000);
    assert_eq!(stage.peer.wait_for_end(1).await, Some((Some(3005), "enough".to_owned())));
    // To one that is not there, nothing can be sent any more.
    let mut peer = stage.peer;
    peer.stop().await;
    let url = peer.url("/b");
    stage.db.one_with::<i64>("select edge.ws_open('b', $1)", &[&url]).await;
    reaches(&stage.db, "b", "waiting").await;
    stage.db.exec("select edge.ws_send('b', n::text) from generate_series(1, 2500) n").await;
    stage.db.exec("select edge.ws_close('b')").await;
    comes_true(
        &stage.db,
        "all of them have failed",
        "select count(*) = 2500 from edge.ws_messages
         where connection = 'b' and state = 'failed' and error = 'the connection was closed before this was sent'",
    )
    .await;
    reaches(&stage.db, "b", "closed").await;
    assert_eq!(stage.db.one::<i64>("select count(*) from edge_store.ws_outcome").await, 4500);
}
