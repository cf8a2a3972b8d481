//! Peers that flood, do not read, or fall silent: nobody else is the worse for it, and nothing is lost.

use std::time::{Duration, Instant};

use super::bad_peers::Street;
use super::{all_sent, hears, numbers, open, say};
use crate::faults::dispatcher;
use crate::harness::process;
use crate::harness::ws_peer::{Answer, Manner, Said};

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_peer_is_dead_after_a_while_and_what_it_has_not_taken_is_sent_again() {
    let street = Street::impatient().await;
    street.bad.sequence("/", [Answer::Accept(Manner::Ignore), Answer::Accept(Manner::Listen)]);
    let began = Instant::now();
    open(&street.db, "silent", &street.bad.url("/")).await;
    say(&street.db, "silent", "is anybody there").await;
    let arrivals = street.bad.wait_for_arrivals(2).await;
    let patience = arrivals[1].at.duration_since(arrivals[0].at);
    assert!(patience >= Duration::from_millis(4_900), "it was given up after {patience:?}");
    println!("a silent peer was given up after {patience:?}, {:?} after it was asked for", began.elapsed());
    assert_eq!(street.bad.wait_for_texts(1).await, ["is anybody there"]);
    all_sent(&street.db, "silent").await;
    street.neighbour_is_untouched("silence").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_answers_no_pings_but_speaks_is_alive() {
    let street = Street::impatient().await;
    street.bad.on("/", Answer::Accept(Manner::Ignore));
    open(&street.db, "deaf", &street.bad.url("/")).await;
    say(&street.db, "deaf", "do you hear me").await;
    for number in 1..=60 {
        street.bad.text(1, format!("deaf {number}"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    all_sent(&street.db, "deaf").await;
    assert_eq!(street.bad.arrivals().len(), 1, "a peer that speaks was taken for dead");
    assert_eq!(numbers(&hears(&street.db, "deaf", 60).await, "deaf"), (1..=60).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_stored_whole_and_drowns_nobody() {
    const MESSAGES: usize = 20_000;
    let street = Street::start().await;
    let worker = dispatcher(&street.cluster, "postgres").await;
    open(&street.db, "flood", &street.bad.url("/")).await;
    let filler = "x".repeat(2_000);
    for number in 1..=MESSAGES {
        street.bad.text(1, format!("{number} {filler}"));
    }
    let mut slowest = Duration::ZERO;
    let mut most = 0;
    let count = "select count(*) from edge.ws_messages where connection = 'flood' and direction = 'in'";
    while street.db.one::<i64>(count).await < MESSAGES as i64 {
        let began = Instant::now();
        street.neighbour_is_untouched("the flood").await;
        slowest = slowest.max(began.elapsed());
        most = most.max(process::resident_kib(worker) / 1024);
    }
    println!("the neighbour was answered within {slowest:?}; the dispatcher had at most {most} MB");
    assert!(most < 200, "the dispatcher had {most} MB");
    let numbers: Vec<i32> = street.db.column(
        "select split_part(data, ' ', 1)::int from edge.ws_messages where connection = 'flood' and direction = 'in' order by id",
    ).await;
    assert!((1..).zip(&numbers).all(|(place, number)| place == *number), "order was lost");
    assert_eq!(street.bad.arrivals().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_never_reads_stops_only_its_own_messages() {
    const MESSAGES: usize = 4_000;
    let street = Street::impatient().await;
    let worker = dispatcher(&street.cluster, "postgres").await;
    street.bad.sequence(
        "/",
        [Answer::Accept(Manner::Ignore), Answer::Accept(Manner::Ignore), Answer::Accept(Manner::Listen)],
    );
    open(&street.db, "deaf", &street.bad.url("/")).await;
    let speak = format!(
        "select count(edge.ws_send('deaf', 'deaf ' || n || repeat(' ', 9000))) from generate_series(1, {MESSAGES}) n"
    );
    street.db.exec(&speak).await;
    let mut most = 0;
    while street.bad.arrivals().len() < 3 {
        street.neighbour_is_untouched("the deaf").await;
        most = most.max(process::resident_kib(worker) / 1024);
    }
    all_sent(&street.db, "deaf").await;
    println!("the dispatcher had at most {most} MB");
    assert!(most < 200, "the dispatcher had {most} MB");
    let heard: Vec<String> = street.bad.texts().iter().map(|text| text.trim_end().to_owned()).collect();
    assert_eq!(numbers(&heard, "deaf"), (1..=MESSAGES).collect::<Vec<_>>());
    assert!(!street.bad.heard().iter().any(|heard| heard.connection < 3 && matches!(heard.said, Said::Text(_))));
}
