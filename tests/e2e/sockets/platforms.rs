//! Peers that end every connection after a while, as the platforms do that run edge functions.

use std::time::Duration;

use super::relay::{Relay, Stack};
use super::{all_sent, first_times, hears, numbers, open, open_with, reaches, say, shown, steps_back, texts};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, Db, WsPeer, eventually};

const MESSAGES: usize = 600;

async fn talk(db: &Db, name: &str) {
    for number in 1..=MESSAGES {
        say(db, name, &format!("{name} {number}")).await;
        tokio::time::sleep(Duration::from_millis(8)).await;
    }
}

/// A cluster with two databases that have joined a room, with what follows the URL in `edge.ws_open`.
async fn two_in(relay: &Relay, more: &str) -> (Cluster, Db, Db) {
    let cluster = Cluster::builder().setting("pg_edge.ws_max_backoff", "100ms").start();
    cluster.create_database("grace").await;
    let (ada, grace) = (cluster.create_extension("postgres").await, cluster.create_extension("grace").await);
    for (db, name) in [(&ada, "ada"), (&grace, "grace")] {
        open_with(db, name, &relay.url("a"), more).await;
        say(db, name, &format!("{name} joins")).await;
        all_sent(db, name).await;
    }
    (cluster, ada, grace)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_around_a_restart_of_the_service_reaches_it() {
    let relay = Relay::closing_after(Stack::Deno, Duration::from_secs(1));
    let (_cluster, ada, grace) = two_in(&relay, "").await;
    tokio::join!(talk(&ada, "ada"), talk(&grace, "grace"));
    for (db, name) in [(&ada, "ada"), (&grace, "grace")] {
        all_sent(db, name).await;
        assert!(shown(db, name).await.get::<_, i64>("reconnects") >= 3, "{name} was not sent away");
        let heard = numbers(&relay.journal(), name);
        assert_eq!(first_times(&heard), (1..=MESSAGES).collect::<Vec<_>>(), "{name} lost something");
        println!("{name}: {} messages were heard again over {} restarts", heard.len() - MESSAGES, steps_back(&heard));
    }
}

async fn nothing_is_missed_below_the_lifetime_of(stack: Stack) {
    let relay = Relay::closing_after(stack, Duration::from_secs(10));
    let (_cluster, ada, grace) = two_in(&relay, ", max_age => '1 second'").await;
    tokio::join!(talk(&ada, "ada"), talk(&grace, "grace"));
    let wanted: Vec<usize> = (1..=MESSAGES).collect();
    for (db, name, listener, speaker) in [(&ada, "ada", &grace, "ada"), (&grace, "grace", &ada, "grace")] {
        all_sent(db, name).await;
        let heard = numbers(&relay.journal(), speaker);
        assert_eq!(heard, wanted, "{speaker} said something never, twice or out of order");
        let listener_name = if name == "ada" { "grace" } else { "ada" };
        // Another dispatcher writes it than the one that said so.
        let came = eventually(&format!("{listener_name} has all that {speaker} said"), SERVER_DEADLINE, || async {
            let came = numbers(&texts(listener, listener_name, "in").await, speaker);
            Some(came).filter(|came| first_times(came).len() == MESSAGES)
        })
        .await;
        let mut all = first_times(&came);
        all.sort_unstable();
        assert_eq!(all, wanted, "{listener_name} missed what {speaker} said");
        println!(
            "{listener_name} has {} of {speaker}'s messages twice, {} times out of order",
            came.len() - MESSAGES,
            steps_back(&came)
        );
        let own = numbers(&texts(db, name, "in").await, speaker);
        println!("{name} has heard {} of its own messages over its other connection", own.len());
        let connection = shown(db, name).await;
        assert_ne!(connection.get::<_, Option<i32>>("close_code"), Some(1012), "{name} was sent away");
        assert!(connection.get::<_, i64>("reconnects") >= 2, "{name} was never replaced");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_replaced_before_its_platform_ends_it_misses_nothing_on_deno() {
    nothing_is_missed_below_the_lifetime_of(Stack::Deno).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_replaced_before_its_platform_ends_it_misses_nothing_on_node() {
    nothing_is_missed_below_the_lifetime_of(Stack::Node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_was_said_before_an_orderly_close_is_stored() {
    let cluster = Cluster::builder().setting("pg_edge.ws_max_backoff", "100ms").start();
    let db = cluster.create_extension("postgres").await;
    let peer = WsPeer::start().await;
    open(&db, "peer", &peer.url("/")).await;
    for number in 1..=5_000 {
        peer.text(1, format!("peer {number}"));
    }
    peer.close(1, 1012, "Service restart");
    let heard = hears(&db, "peer", 5_000).await;
    assert_eq!(numbers(&heard, "peer"), (1..=5_000).collect::<Vec<_>>());
    peer.wait_for_arrivals(2).await;
    let again = reaches(&db, "peer", "open").await;
    assert_eq!(again.get::<_, i64>("received"), 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_second_connection_can_be_had_the_first_is_kept() {
    use crate::harness::ws_peer::{Answer, Manner};
    let cluster = Cluster::builder().setting("pg_edge.ws_max_backoff", "100ms").start();
    let db = cluster.create_extension("postgres").await;
    let peer = WsPeer::start().await;
    peer.sequence(
        "/",
        [Answer::Accept(Manner::Listen), Answer::refuse(503), Answer::refuse(503), Answer::Accept(Manner::Listen)],
    );
    open_with(&db, "peer", &peer.url("/"), ", max_age => '1 second'").await;
    let arrivals = peer.wait_for_arrivals(3).await;
    assert!(arrivals[1].at - arrivals[0].at >= Duration::from_millis(950), "it was replaced before its age");
    say(&db, "peer", "over the old one or the new").await;
    assert_eq!(peer.wait_for_texts(1).await, ["over the old one or the new"]);
    peer.wait_for_arrivals(4).await;
    assert_eq!(peer.wait_for_end(1).await, Some((Some(1000), String::new())));
    say(&db, "peer", "over a new one").await;
    peer.wait_for_texts(2).await;
    all_sent(&db, "peer").await;
    assert_eq!(peer.texts().len(), 2, "something was said twice");
}
