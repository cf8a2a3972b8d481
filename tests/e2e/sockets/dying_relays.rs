//! Relays that are killed while both sides talk: what was committed reaches the next one, in order, at least once.

use std::time::Duration;

use super::relay::{Relay, Stack};
use super::{all_sent, first_times, hears, join, numbers, say, shown, steps_back, stops_reading, texts};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, Db, WsPeer, eventually};

const MESSAGES: usize = 600;
const KILLS: usize = 3;

/// Connections are tried again at once rather than in seconds.
fn impatient() -> Cluster {
    Cluster::builder().setting("pg_edge.ws_max_backoff", "200ms").start()
}

/// Says numbered messages, each in a transaction of its own, in about `MESSAGES` times 5 ms.
async fn talk(db: &Db, name: &str) {
    for number in 1..=MESSAGES {
        say(db, name, &format!("{name} {number}")).await;
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
}

/// Waits until a connection has been opened so many times again.
async fn opened_anew(db: &Db, name: &str, times: usize) {
    eventually(&format!("{name} is opened anew {times} times"), SERVER_DEADLINE, || async {
        shown(db, name).await.get::<_, i64>("reconnects") >= times as i64
    })
    .await;
}

/// Every number came, for the first time in order; they went back only where a relay was killed.
fn assert_none_lost(heard: &[String], speaker: &str) {
    let heard = numbers(heard, speaker);
    let wanted: Vec<usize> = (1..=MESSAGES).collect();
    assert_eq!(first_times(&heard), wanted, "what {speaker} said is incomplete or out of order");
    let (again, back) = (heard.len() - MESSAGES, steps_back(&heard));
    println!("{speaker}: {again} of {MESSAGES} messages were heard again, after {back} of {KILLS} kills");
    assert!(back <= KILLS, "{speaker} repeated itself {back} times");
}

async fn nothing_is_lost_to_a_relay_that_is_killed_on(stack: Stack) {
    let cluster = impatient();
    cluster.create_database("grace").await;
    let (ada, grace) = (cluster.create_extension("postgres").await, cluster.create_extension("grace").await);
    let mut relay = Relay::start(stack);
    join(&ada, "ada", &relay.url("a")).await;
    join(&grace, "grace", &relay.url("a")).await;
    let kill = async {
        for kill in 1..=KILLS {
            // Whoever is fast might have said enough to the relay before this one, and not be back.
            opened_anew(&ada, "ada", kill - 1).await;
            opened_anew(&grace, "grace", kill - 1).await;
            eventually("both talk", SERVER_DEADLINE, || async {
                let journal = relay.journal();
                let talked = |speaker| numbers(&journal, speaker).last().is_some_and(|last| *last >= kill * 100);
                talked("ada") && talked("grace")
            })
            .await;
            relay.kill();
            // For a while there is nobody.
            tokio::time::sleep(Duration::from_millis(300)).await;
            relay.start_again();
        }
    };
    tokio::join!(talk(&ada, "ada"), talk(&grace, "grace"), kill);
    for (db, name) in [(&ada, "ada"), (&grace, "grace")] {
        all_sent(db, name).await;
        opened_anew(db, name, KILLS).await;
    }
    let journal = relay.journal();
    for (speaker, db, listener) in [("ada", &grace, "grace"), ("grace", &ada, "ada")] {
        assert_none_lost(&journal, speaker);
        // What a relay has heard and not handed on dies with it. What it did hand on is in order.
        let came = numbers(&texts(db, listener, "in").await, speaker);
        let lost = MESSAGES - first_times(&came).len();
        println!("{listener} has {} messages of {speaker}; {lost} died in the memory of relays", came.len());
        assert!(steps_back(&came) <= KILLS, "{listener} has stored what came out of order");
    }
    say(&ada, "ada", "ada 1000000").await;
    eventually("they talk as before", SERVER_DEADLINE, || async {
        texts(&grace, "grace", "in").await.last().is_some_and(|last| last == "ada 1000000")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_to_a_relay_that_is_killed_on_deno() {
    nothing_is_lost_to_a_relay_that_is_killed_on(Stack::Deno).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_to_a_relay_that_is_killed_on_node() {
    nothing_is_lost_to_a_relay_that_is_killed_on(Stack::Node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_unread_in_the_socket_of_a_peer_that_dies_is_sent_again() {
    let cluster = impatient();
    let db = cluster.create_extension("postgres").await;
    let mut peer = WsPeer::start().await;
    super::open(&db, "peer", &peer.url("/")).await;
    say(&db, "peer", "peer 1").await;
    all_sent(&db, "peer").await;
    stops_reading(&db, &peer, "peer", 1).await;
    for number in 2..=MESSAGES {
        say(&db, "peer", &format!("peer {number}")).await;
    }
    // It has all been written by now, or could have been, and none of it was read.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(peer.texts(), ["peer 1"]);
    let waiting = "select count(*) from edge.ws_messages where connection = 'peer' and state = 'queued'";
    assert_eq!(db.one::<i64>(waiting).await, MESSAGES as i64 - 1, "unread messages were taken for sent");
    peer.stop().await;
    peer.start_again().await;
    all_sent(&db, "peer").await;
    let wanted: Vec<usize> = (1..=MESSAGES).collect();
    assert_eq!(numbers(&peer.texts(), "peer"), wanted);
    assert_eq!(peer.texts_of(2).len(), MESSAGES - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_queued_while_nobody_listens_is_sent_when_somebody_does() {
    let cluster = impatient();
    let db = cluster.create_extension("postgres").await;
    let mut peer = WsPeer::echo().await;
    super::open(&db, "peer", &peer.url("/")).await;
    peer.stop().await;
    let waiting = super::reaches(&db, "peer", "waiting").await;
    assert!(waiting.get::<_, Option<String>>("last_error").is_some_and(|error| error.len() > 15));
    db.exec("select edge.ws_send('peer', 'peer ' || n) from generate_series(1, 300) n").await;
    db.exec("begin; select edge.ws_send('peer', 'never said'); rollback").await;
    peer.start_again().await;
    let heard = hears(&db, "peer", 300).await;
    assert_eq!(numbers(&heard, "peer"), (1..=300).collect::<Vec<usize>>());
    assert_eq!(peer.texts(), heard);
    let open = super::reaches(&db, "peer", "open").await;
    assert_eq!(open.get::<_, Option<String>>("last_error"), None, "an error outlives what it was about");
}
