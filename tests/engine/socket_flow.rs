//! What peers are known to have taken, and how far they may run ahead of the main thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pg_edge::domain::socket::end::End;
use pg_edge::domain::socket::plan::{Plan, Rules, SocketId};

use super::peer::Peer;
use super::sender::{Sender, eventually};
use super::socket_peer::{PING, PONG, TEXT, frame};
use super::socket_side::{Side, plan, rules, text};
use super::sockets::{echo, taking};

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
            match next.opcode {
                PING => conn.note("ping"),
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
    let began = Instant::now();
    side.say(vec![text(0, "x")]);
    side.until("it is taken at once", |side| side.told(SocketId(1)).taken == said as usize + 1);
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
}

/// What the engine may hold of one websocket, and what both ends' sockets hold of a connection, as Linux has it by default.
const OF_ONE: usize = (1 << 20) + (192 << 10);
const STUCK: usize = 20 << 20;

const COUNT: usize = 1_000;
const BYTES: usize = 65_536;

/// Sends 64 MB of numbered messages, and counts what it has got rid of. Answers pings in between.
fn flood() -> (Peer, Arc<AtomicUsize>) {
    let written = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&written);
    let peer = Peer::scripted(move |mut conn| {
        let counted = Arc::clone(&counted);
        async move {
            conn.welcome().await;
            let padding = "x".repeat(BYTES);
            for number in 0..COUNT {
                if !conn.send(&frame(TEXT, format!("{number} {padding}").as_bytes())).await {
                    return conn.note("closed");
                }
                counted.fetch_add(BYTES, Ordering::SeqCst);
            }
            conn.converse().await;
        }
    });
    (peer, written)
}

/// Waits until a count has not changed for a while.
fn stuck(side: &mut Side<'_>, count: &AtomicUsize) -> usize {
    let (mut last, mut since) = (0, Instant::now());
    eventually("the peer stands still", || {
        side.take();
        let now = count.load(Ordering::SeqCst);
        if now != last || now == 0 {
            (last, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_millis(500)
    });
    last
}

fn held(side: &Side<'_>) -> usize {
    side.stories.values().flat_map(|story| &story.messages).map(|message| message.payload.size()).sum()
}

#[test]
fn a_websocket_that_is_not_stored_stands_still_and_lives_on() {
    let ((peer, written), sender) = (flood(), Sender::new());
    // Its silence is ours: it must not be taken for dead.
    let quick = Rules { ping_every: Duration::from_millis(200), dead_after: Duration::from_millis(1_500), ..rules() };
    let mut side = Side::new(&sender);
    side.kept = Some(Vec::new());
    sender.engine.open_socket(Plan { rules: quick, ..plan(&peer) });
    let sent = stuck(&mut side, &written);
    assert!(sent < STUCK, "{sent} bytes were sent to a reader that stands still");
    assert!(held(&side) < OF_ONE, "{} bytes are held", held(&side));

    let neighbour = echo();
    sender.engine.open_socket(Plan { socket: SocketId(2), ..plan(&neighbour) });
    sender.engine.say(SocketId(2), vec![text(1, "hello")]);
    side.until("a neighbour's message", |side| side.told(SocketId(2)).messages.len() == 1);

    std::thread::sleep(Duration::from_secs(2));
    side.kept = None;
    side.hear(COUNT);
    for (number, text) in side.story().texts().iter().enumerate() {
        assert!(text.starts_with(&format!("{number} ")), "message {number}");
    }
}

#[test]
fn a_websocket_that_nobody_looks_at_stands_still() {
    let ((peer, written), sender) = (flood(), Sender::new());
    sender.engine.open_socket(plan(&peer));
    let (mut last, mut since) = (0, Instant::now());
    eventually("the peer stands still", || {
        let now = written.load(Ordering::SeqCst);
        if now != last || now == 0 {
            (last, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_millis(500)
    });
    assert!(last < STUCK, "{last} bytes were sent to a reader that stands still");
    let mut side = Side::new(&sender);
    side.take();
    assert!(
        side.story().pieces == 1 && held(&side) < OF_ONE,
        "{} bytes in {} pieces",
        held(&side),
        side.story().pieces
    );
    side.close(1000, "");
    assert_eq!(side.end(), End::ClosedByUs);
}

#[test]
fn all_websockets_together_have_a_limit_too() {
    const SOCKETS: usize = 150;
    let ((peer, written), sender) = (flood(), Sender::new());
    let mut side = Side::new(&sender);
    side.kept = Some(Vec::new());
    for number in 0..SOCKETS {
        sender.engine.open_socket(Plan { socket: SocketId(number as u64), ..plan(&peer) });
    }
    side.until("all are open", |side| side.stories.values().filter(|story| story.opened == 1).count() == SOCKETS);
    stuck(&mut side, &written);
    let total = held(&side);
    assert!(total < (64 << 20) + (16 << 20), "{total} bytes are held");
    side.kept = None;
    side.until("more messages", |side| held(side) > total + (64 << 20));
}

#[test]
fn messages_in_both_directions_do_not_hold_each_other_up() {
    let (peer, sender) = (echo(), Sender::new());
    let mut side = Side::opened(&sender, plan(&peer));
    side.kept = Some(Vec::new());
    side.say((0..100).map(|id| text(id, "x".repeat(BYTES))).collect());
    // The peer stands still with its echoes as soon as we do not store them, and then our messages do too.
    side.until("what has room", |side| held(side) >= (1 << 20));
    side.kept = None;
    side.hear(100);
    side.taken(100);
}

#[test]
fn taken_and_received_of_many_websockets_are_told_apart() {
    const SOCKETS: u64 = 300;
    let (peer, sender) = (echo(), Sender::new());
    let mut side = Side::new(&sender);
    for number in 0..SOCKETS {
        sender.engine.open_socket(Plan { socket: SocketId(number), ..plan(&peer) });
        sender.engine.say(SocketId(number), (0..20).map(|id| text(id, format!("{number}/{id}"))).collect());
    }
    side.until("everything", |side| {
        (0..SOCKETS)
            .all(|number| side.told(SocketId(number)).messages.len() == 20 && side.told(SocketId(number)).taken == 20)
    });
    for number in 0..SOCKETS {
        let expected: Vec<String> = (0..20).map(|id| format!("{number}/{id}")).collect();
        assert_eq!(side.told(SocketId(number)).texts(), expected);
    }
}

#[test]
fn nothing_is_sent_to_a_websocket_that_has_ended() {
    let (peer, sender) = (taking(), Sender::new());
    let mut side = Side::opened(&sender, plan(&peer));
    side.close(1000, "");
    assert_eq!(side.end(), End::ClosedByUs);
    side.say(vec![text(1, "x")]);
    side.close(1000, "");
    sender.engine.open_socket(Plan { socket: SocketId(2), ..plan(&peer) });
    side.until("another one is open", |side| side.told(SocketId(2)).opened == 1);
    assert_eq!(peer.noted("x"), 0);
}
