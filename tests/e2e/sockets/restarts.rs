//! Postgres is restarted, crashes, or loses its dispatcher while websockets stand.

use std::time::Duration;

use super::{all_sent, first_times, numbers, open, reaches, steps_back, stops_reading, wish};
use crate::faults::{SOON, dispatcher, successor};
use crate::harness::process::{Signal, send};
use crate::harness::ws_peer::Answer;
use crate::harness::{Cluster, Db, Stop, WsPeer, eventually};

const MESSAGES: usize = 2_000;

async fn start() -> (Cluster, Db, WsPeer) {
    let cluster = Cluster::builder().setting("pg_edge.ws_max_backoff", "200ms").start();
    let db = cluster.create_extension("postgres").await;
    let peer = WsPeer::start().await;
    open(&db, "peer", &peer.url("/")).await;
    (cluster, db, peer)
}

fn speak(from: usize, to: usize) -> String {
    format!("select count(edge.ws_send('peer', 'peer ' || n)) from generate_series({from}, {to}) n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_says_goodbye_opens_anew_and_sends_what_was_left() {
    let (mut cluster, db, peer) = start().await;
    db.exec(&speak(1, 10)).await;
    all_sent(&db, "peer").await;
    peer.stop_reading(1);
    db.exec(&speak(11, MESSAGES)).await;
    drop(db);
    // The peer reads on only while the server stops, and hears the goodbye behind some of the messages.
    let reads_on = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        peer.go_on_reading(1);
    };
    tokio::join!(async { tokio::task::block_in_place(|| cluster.restart(Stop::Fast)) }, reads_on);
    peer.wait_for_arrivals(2).await;
    assert_eq!(peer.wait_for_end(1).await.and_then(|(code, _)| code), Some(1001), "the server left without a word");
    let db = cluster.connect().await;
    all_sent(&db, "peer").await;
    let heard = numbers(&peer.texts(), "peer");
    assert_eq!(first_times(&heard), (1..=MESSAGES).collect::<Vec<_>>());
    println!("{} messages were heard again", heard.len() - MESSAGES);
    // The peer may still read what lay in its buffers of the first connection while the second one speaks.
    for connection in [1, 2] {
        assert_eq!(steps_back(&numbers(&peer.texts_of(connection), "peer")), 0, "connection {connection}");
    }
    assert_eq!(numbers(&peer.texts_of(2), "peer").iter().filter(|number| **number <= 10).count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_the_server_loses_no_committed_message() {
    let (mut cluster, db, peer) = start().await;
    stops_reading(&db, &peer, "peer", 1).await;
    db.exec(&speak(1, MESSAGES)).await;
    drop(db);
    cluster.kill_postmaster();
    cluster.start_again();
    let db = cluster.connect().await;
    all_sent(&db, "peer").await;
    assert_eq!(numbers(&peer.texts_of(2), "peer"), (1..=MESSAGES).collect::<Vec<_>>());
    reaches(&db, "peer", "open").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispatcher_killed_while_it_sends_has_a_successor_that_goes_on() {
    let (cluster, _, peer) = start().await;
    let kill = async {
        for heard in [200, 700, 1_200] {
            peer.wait_for_texts(heard).await;
            let worker = dispatcher(&cluster, "postgres").await;
            send(worker, Signal::SIGKILL);
            successor(&cluster, "dispatcher", "postgres", worker).await;
        }
    };
    // A killed worker makes the postmaster end all sessions, so each message is said until it is committed.
    let talk = async {
        let mut db = cluster.connect().await;
        for number in 1..=MESSAGES {
            let sql = format!("select edge.ws_send('peer', 'peer {number}')");
            while db.try_exec(&sql).await.is_err() {
                let again = || async { cluster.try_connect_as("postgres", "postgres").await.ok() };
                db = eventually("the server takes sessions again", SOON, again).await;
            }
        }
    };
    tokio::join!(talk, kill);
    let db = cluster.connect().await;
    all_sent(&db, "peer").await;
    // Where a session ended between its commit and the answer, a message was committed twice: the table says what is true.
    let sql = "select data from edge.ws_messages where connection = 'peer' and direction = 'out' order by id";
    let committed = numbers(&db.column::<String>(sql).await, "peer");
    let heard = numbers(&peer.texts(), "peer");
    assert_eq!(first_times(&heard), first_times(&committed));
    println!("{} of {} messages were heard again", heard.len() - committed.len(), committed.len());
    // The peer may still read what lay in its buffers of one connection while the next one speaks.
    for connection in 1..=peer.arrivals().len() {
        let heard = numbers(&peer.texts_of(connection), "peer");
        assert!(steps_back(&heard) <= steps_back(&committed), "connection {connection}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_closed_or_has_failed_stays_so_over_a_restart() {
    let (mut cluster, db, peer) = start().await;
    peer.on("/refused", Answer::refuse(401));
    wish(&db, "refused", &peer.url("/refused"), "").await;
    reaches(&db, "refused", "failed").await;
    db.exec("select edge.ws_close('peer')").await;
    reaches(&db, "peer", "closed").await;
    drop(db);
    cluster.restart(Stop::Fast);
    let db = cluster.connect().await;
    open(&db, "another", &peer.url("/another")).await;
    assert_eq!(peer.arrivals().len(), 3, "{:?}", peer.arrivals());
    for (name, state) in [("peer", "closed"), ("refused", "failed")] {
        assert_eq!(super::shown(&db, name).await.get::<_, String>("state"), state, "{name}");
    }
    peer.on("/refused", Answer::Accept(crate::harness::ws_peer::Manner::Listen));
    open(&db, "refused", &peer.url("/refused")).await;
}
