//! What the peer of a websocket is known to have taken.

use std::time::{Duration, Instant};

use pg_edge::domain::socket::end::End;
use pg_edge::domain::socket::plan::{Plan, Rules, SocketId};

use super::peer::Peer;
use super::sender::{Sender, eventually};
use super::socket_peer::{PING, PONG, TEXT, frame};
use super::socket_side::{Side, plan, rules, text};

#[test]
fn messages_count_as_taken_once_and_not_before_the_peer_has_read_them() {
    let (go, going) = tokio::sync::watch::channel(false);
    let peer = Peer::scripted(move |mut conn| {
        let mut going = going.clone();
        async move {
            conn.welcome().await;
            going.wait_for(|go| *go).await.unwrap();
            conn.converse().await;
        }
    });
    let sender = Sender::new();
    let mut side = Side::opened(&sender, plan(&peer));
    side.say((0..10).map(|id| text(id, "x")).collect());
    std::thread::sleep(Duration::from_millis(100));
    side.take();
    assert_eq!(side.story().taken, 0, "they are in the sockets' buffers");
    go.send(true).unwrap();
    side.taken(10);
    side.say((0..1_000).map(|id| text(id, "x")).collect());
    side.taken(1_010);
    std::thread::sleep(Duration::from_millis(50));
    side.take();
    assert_eq!(side.story().taken, 1_010);
}

#[test]
fn a_burst_is_followed_by_few_pings() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.welcome().await;
        while let Some(next) = conn.frame().await {
            if next.opcode == PING {
                conn.note("ping");
                conn.send(&frame(PONG, &next.payload)).await;
            }
        }
    });
    let sender = Sender::new();
    let mut side = Side::opened(&sender, plan(&peer));
    side.say((0..50).map(|id| text(id, "x")).collect());
    side.taken(50);
    assert_eq!(peer.noted("ping"), 1);
    side.say((0..20_000).map(|id| text(id, "x")).collect());
    side.taken(20_050);
    let pings = peer.noted("ping");
    assert!(pings < 320, "{pings} pings for 20000 messages");
}

#[test]
fn of_a_relay_that_dies_what_it_had_read_is_known_and_no_more() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.welcome().await;
        // Reads and acknowledges three, and leaves the others where they are.
        for _ in 0..3 {
            conn.frame().await;
        }
        let ping = conn.frame().await.unwrap();
        assert_eq!(ping.opcode, PING);
        conn.send(&frame(PONG, &ping.payload)).await;
        conn.frame().await;
        conn.note("reads no more");
        conn.until_told().await;
        conn.stream.set_zero_linger().unwrap();
    });
    let sender = Sender::new();
    let mut side = Side::opened(&sender, plan(&peer));
    side.say((0..3).map(|id| text(id, "x")).collect());
    side.taken(3);
    side.say((3..100).map(|id| text(id, "x")).collect());
    eventually("the relay stands still", || peer.noted("reads no more") == 1);
    std::thread::sleep(Duration::from_millis(50));
    peer.tell();
    assert!(matches!(side.end(), End::Failed(_)));
    assert_eq!(side.story().taken, 3);
}

#[test]
fn a_pong_that_is_nobodys_answer_counts_for_nothing() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.welcome().await;
        for payload in [&b""[..], b"hello", &7_u64.to_be_bytes(), &[0; 125]] {
            conn.send(&frame(PONG, payload)).await;
        }
        conn.frame().await;
        conn.send(&frame(PONG, b"")).await;
        conn.until_closed().await;
    });
    let sender = Sender::new();
    let mut side = Side::opened(&sender, plan(&peer));
    side.say(vec![text(1, "x")]);
    std::thread::sleep(Duration::from_millis(100));
    side.take();
    assert_eq!((side.story().taken, side.story().end.clone()), (0, None));
}

#[test]
fn what_a_peer_that_answers_no_pings_was_sent_counts_as_taken() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.welcome().await;
        while let Some(next) = conn.frame().await {
            match (next.opcode, next.payload.as_slice()) {
                (PING, _) => conn.note("ping"),
                // From here on it neither reads nor talks.
                (_, b"hush") => return conn.until_told().await,
                _ => drop(conn.send(&frame(TEXT, b"but talks")).await),
            }
        }
    });
    let quick = Rules { ping_every: Duration::from_secs(1), ..rules() };
    let sender = Sender::new();
    let mut side = Side::opened(&sender, Plan { rules: quick, ..plan(&peer) });
    let began = Instant::now();
    side.say(vec![text(1, "x"), text(2, "x")]);
    let mut said = 2;
    side.until("they are taken", |side| {
        std::thread::sleep(Duration::from_millis(10));
        said += 1;
        side.say(vec![text(said, "x")]);
        side.told(SocketId(1)).taken > 0
    });
    assert!(began.elapsed() >= Duration::from_secs(1));
    // From now on, what is written is taken.
    side.until("all are taken", |side| side.told(SocketId(1)).taken == said as usize);
    side.say(vec![text(0, "hush"), text(0, "x")]);
    side.until("they are taken without a word", |side| side.told(SocketId(1)).taken == said as usize + 2);
    peer.tell();
}
