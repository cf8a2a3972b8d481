//! How far the peers of websockets may run ahead of the main thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pg_edge::domain::socket::end::End;
use pg_edge::domain::socket::plan::{Plan, Rules, SocketId};

use super::peer::Peer;
use super::sender::{Sender, eventually};
use super::socket_peer::{TEXT, frame};
use super::socket_side::{Side, plan, rules, text};
use super::sockets::{echo, taking};

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
    let quick = Rules { ping_every: Duration::from_millis(200), dead_after: Duration::from_secs(4), ..rules() };
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

    std::thread::sleep(Duration::from_secs(4));
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
    // All that there is comes with the first look, however late the first of it came.
    side.until("what has come", |side| side.told(SocketId(1)).pieces > 0);
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
