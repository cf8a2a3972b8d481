//! How websockets end: by us, by the peer, and by themselves.

use std::time::{Duration, Instant};

use pg_edge::domain::outcome::{Failure, FailureClass};
use pg_edge::domain::socket::end::End;
use pg_edge::domain::socket::plan::{Plan, Rules, SocketId};

use super::peer::{Conn, Peer};
use super::sender::{PATIENCE, Sender, eventually};
use super::socket_peer::{CLOSE, TEXT, close, frame};
use super::socket_side::{Side, plan, rules, text};
use super::socket_violations::sending;
use super::sockets::taking;

fn closed_by_peer(code: impl Into<Option<u16>>, reason: &str) -> End {
    End::ClosedByPeer { code: code.into(), reason: reason.to_owned() }
}

fn lost(cause: &str) -> End {
    let message = format!("the connection was lost without a close frame (1006){cause}");
    End::Failed(Failure::new(FailureClass::Protocol, message))
}

#[test]
fn a_peer_that_closes_is_answered_and_told_with_its_code_and_reason() {
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999] {
        let peer = sending(close(code, "because"));
        assert_eq!(Side::end_of(&Sender::new(), plan(&peer)), closed_by_peer(code, "because"));
        eventually("the answer", || peer.noted(&format!("close {code} because")) == 1);
    }
}

#[test]
fn a_bad_gateways_code_is_understood_though_the_library_does_not_know_it() {
    let peer = sending(close(1014, "bad gateway"));
    assert_eq!(Side::end_of(&Sender::new(), plan(&peer)), closed_by_peer(1014, ""));
    let peer = sending([frame(TEXT, &[b'x'; 300]), close(1014, "")].concat());
    assert_eq!(Side::end_of(&Sender::new(), plan(&peer)), closed_by_peer(1014, ""));
}

#[test]
fn a_peer_that_closes_without_a_code_is_told_so() {
    let peer = sending(frame(CLOSE, b""));
    assert_eq!(Side::end_of(&Sender::new(), plan(&peer)), closed_by_peer(None, ""));
    eventually("the answer", || peer.noted("close 0") == 1);
}

#[test]
fn a_connection_that_is_cut_is_told_as_lost() {
    let cut = Peer::scripted(|mut conn| async move {
        conn.welcome().await;
        conn.send(&frame(TEXT, b"last words")).await;
    });
    let sender = Sender::new();
    let mut side = Side::opened(&sender, plan(&cut));
    assert_eq!(side.end(), lost(""));
    assert_eq!(side.story().texts(), ["last words"]);

    let reset = Peer::scripted(|mut conn| async move {
        conn.welcome().await;
        conn.frame().await;
        conn.stream.set_zero_linger().unwrap();
    });
    let sender = Sender::new();
    let mut side = Side::opened(&sender, plan(&reset));
    side.say(vec![text(1, "are you there?")]);
    // Whether a read or a write hears of it first, and which of two names it has then, is chance.
    let end = side.end();
    assert!([lost(": connection reset by peer"), lost(": broken pipe")].contains(&end), "{end:?}");
}

#[test]
fn a_peer_that_is_silent_is_given_up_and_one_that_answers_pings_is_not() {
    let quick = Rules { ping_every: Duration::from_millis(30), dead_after: Duration::from_millis(150), ..rules() };
    let sender = Sender::new();
    let silent = Peer::scripted(|mut conn| async move {
        conn.welcome().await;
        conn.until_closed().await;
    });
    let began = Instant::now();
    assert_eq!(Side::end_of(&sender, Plan { rules: quick.clone(), ..plan(&silent) }), End::Silent);
    assert!(began.elapsed() >= Duration::from_millis(150));
    eventually("the connection is closed", || silent.noted("closed") == 1);

    let living = taking();
    let slower = Rules { dead_after: Duration::from_secs(4), ..quick };
    let mut side = Side::opened(&sender, Plan { rules: slower, socket: SocketId(2), ..plan(&living) });
    std::thread::sleep(Duration::from_secs(5));
    side.take();
    assert_eq!(side.told(SocketId(2)).end, None);
}

#[test]
fn a_large_message_that_comes_slowly_is_no_silence() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.welcome().await;
        for part in frame(TEXT, &[b'x'; 60]).chunks(1) {
            conn.send(part).await;
            tokio::time::sleep(Duration::from_millis(80)).await;
        }
        conn.until_closed().await;
    });
    let quick = Rules { dead_after: Duration::from_secs(4), ..rules() };
    let sender = Sender::new();
    let began = Instant::now();
    let mut side = Side::opened(&sender, Plan { rules: quick, ..plan(&peer) });
    side.hear(1);
    assert!(began.elapsed() > Duration::from_secs(4), "it came too fast to be taken for silence");
}

#[test]
fn a_peer_that_never_reads_dies_of_silence_and_holds_up_nobody() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.welcome().await;
        if conn.index == 0 {
            return std::future::pending().await;
        }
        conn.converse().await;
    });
    let quick = Rules { ping_every: Duration::from_millis(100), dead_after: Duration::from_secs(2), ..rules() };
    let sender = Sender::new();
    let mut side = Side::opened(&sender, Plan { rules: quick, ..plan(&peer) });
    // More than the sockets of both ends hold.
    side.say((0..64).map(|id| text(id, "x".repeat(1 << 20))).collect());
    sender.engine.open_socket(Plan { socket: SocketId(2), ..plan(&peer) });
    sender.engine.say(SocketId(2), vec![text(1, "hello")]);
    side.until("the neighbour's message is taken", |side| side.told(SocketId(2)).taken == 1);
    assert_eq!(side.end(), End::Silent);
    assert_eq!(side.story().taken, 0);
}

#[test]
fn a_websocket_is_closed_after_what_was_handed_over() {
    let (peer, sender) = (taking(), Sender::new());
    let mut side = Side::opened(&sender, plan(&peer));
    side.say((0..500).map(|id| text(id, id.to_string())).collect());
    side.close(1000, "all said");
    side.say(vec![text(500, "too late")]);
    assert_eq!(side.end(), End::ClosedByUs);
    assert_eq!(side.story().taken, 500);
    let mut expected: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    expected.push("close 1000 all said".to_owned());
    eventually("the close frame is read", || peer.noted("close 1000 all said") == 1);
    assert_eq!(peer.notes()[1..], expected);
}

#[test]
fn a_peer_that_closes_while_it_is_written_to_has_its_say() {
    for _ in 0..20 {
        let peer = Peer::scripted(|mut conn| async move {
            conn.welcome().await;
            conn.frame().await;
            conn.send(&close(4001, "enough")).await;
        });
        let sender = Sender::new();
        let mut side = Side::opened(&sender, plan(&peer));
        for id in 0..200 {
            side.say(vec![text(id, "x".repeat(10_000))]);
        }
        assert_eq!(side.end(), closed_by_peer(4001, "enough"));
    }
}

#[test]
fn a_peer_that_does_not_answer_the_close_frame_is_not_waited_for_long() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.welcome().await;
        conn.until_closed().await;
    });
    let sender = Sender::new();
    let mut side = Side::opened(&sender, plan(&peer));
    let began = Instant::now();
    side.close(1000, "");
    assert_eq!(side.end(), End::ClosedByUs);
    // Long before it would be taken for dead.
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    eventually("the connection is closed", || peer.noted("closed") == 1);
}

#[test]
fn what_comes_after_our_close_frame_is_still_told() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.welcome().await;
        while conn.message().await.is_some_and(|next| next.opcode != CLOSE) {}
        conn.send(&[frame(TEXT, b"one more thing"), close(1000, "")].concat()).await;
    });
    let sender = Sender::new();
    let mut side = Side::opened(&sender, plan(&peer));
    side.say(vec![text(1, "hello")]);
    side.close(1000, "");
    assert_eq!(side.end(), End::ClosedByUs);
    assert_eq!((side.story().texts(), side.story().taken), (vec!["one more thing"], 1));
}

/// Answers pings, but no close frame.
async fn stubborn(mut conn: Conn) {
    conn.welcome().await;
    while conn.message().await.is_some() {}
    conn.note("closed");
}

#[test]
fn a_stop_closes_every_websocket_and_waits_for_none_that_has_closed() {
    let (polite, silent, sender) = (taking(), Peer::silent(), Sender::new());
    let mut side = Side::opened(&sender, plan(&polite));
    side.say(vec![text(1, "hello")]);
    side.taken(1);
    sender.engine.open_socket(Plan { socket: SocketId(2), ..plan(&silent) });
    eventually("the second one's handshake has come", || !silent.notes().is_empty());
    let stories = std::mem::take(&mut side.stories);
    let began = Instant::now();
    let stopped = sender.engine.stop(PATIENCE);
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    let sender = Sender::new();
    let mut side = Side { stories, ..Side::new(&sender) };
    side.note(stopped.sockets);
    let end = |number| side.told(SocketId(number)).end.clone();
    assert_eq!((end(1), end(2)), (Some(End::ClosedByUs), Some(End::ClosedByUs)));
    assert_eq!(polite.noted("close 1001 going away"), 1);
}

#[test]
fn a_stop_does_not_wait_beyond_its_grace_for_a_peer_that_does_not_answer_the_close_frame() {
    let (rude, sender) = (Peer::scripted(stubborn), Sender::new());
    drop(Side::opened(&sender, plan(&rude)));
    let stopped = sender.engine.stop(Duration::from_millis(50));
    // Who opens it again does not need to know.
    assert!(stopped.sockets.is_empty(), "{:?}", stopped.sockets);
    eventually("the connection is closed", || rude.noted("closed") == 1);
}

#[test]
fn a_stop_without_websockets_waits_for_nothing() {
    let began = Instant::now();
    Sender::new().engine.stop(Duration::from_secs(30));
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_number_that_is_in_use_opens_no_second_websocket() {
    let (peer, sender) = (taking(), Sender::new());
    let mut side = Side::opened(&sender, plan(&peer));
    sender.engine.open_socket(plan(&peer));
    side.say(vec![text(1, "still the first")]);
    side.taken(1);
    assert_eq!((side.story().opened, peer.noted("still the first")), (1, 1));
    let mut lines = Vec::new();
    eventually("a line is logged", || {
        sender.engine.drain_log(&mut lines);
        !lines.is_empty()
    });
    assert_eq!(lines[0].message, "pg_edge opened websocket 1 twice");
}
