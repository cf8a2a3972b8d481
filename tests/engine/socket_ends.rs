//! How websockets end: by us, by the peer, and by what a peer should not do.

use std::time::{Duration, Instant};

use pg_edge::domain::outcome::{Failure, FailureClass};
use pg_edge::domain::socket::end::End;
use pg_edge::domain::socket::plan::{Plan, Rules, SocketId};

use super::peer::{Conn, Peer};
use super::sender::{Sender, eventually};
use super::socket_peer::{BINARY, CLOSE, PING, TEXT, close, fragment, frame};
use super::socket_side::{Side, plan, rules, text};
use super::sockets::taking;

/// Sends bytes after the handshake, then notes what comes until the end.
fn sending(bytes: impl Into<Vec<u8>>) -> Peer {
    let bytes = bytes.into();
    Peer::scripted(move |mut conn| {
        let bytes = bytes.clone();
        async move {
            conn.welcome().await;
            conn.send(&bytes).await;
            conn.converse().await;
        }
    })
}

fn closed_by_peer(code: impl Into<Option<u16>>, reason: &str) -> End {
    End::ClosedByPeer { code: code.into(), reason: reason.to_owned() }
}

fn violation(code: u16, message: &str) -> End {
    End::Violation { code, message: message.to_owned() }
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
fn a_code_that_must_not_be_sent_is_a_violation() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
        let peer = sending(close(code, ""));
        let told = format!("the server closed with the invalid code {code}");
        assert_eq!(Side::end_of(&Sender::new(), plan(&peer)), violation(1002, &told));
        eventually("the answer", || peer.notes().last().is_some_and(|note| note.starts_with("close 1002")));
    }
}

#[test]
fn what_breaks_the_protocol_ends_the_websocket_with_a_close_frame() {
    let mut masked = frame(TEXT, b"");
    masked[1] |= 0x80;
    masked.extend([1, 2, 3, 4]);
    for (bytes, code, told) in [
        (masked, 1002, "the server sent a masked frame, as only clients may"),
        (frame(TEXT | 0x40, b"x"), 1002, "the server sent a frame with reserved bits set"),
        (frame(3, b""), 1002, "the server sent a frame of an unknown kind"),
        (frame(11, b""), 1002, "the server sent a frame of an unknown kind"),
        (frame(0, b"x"), 1002, "the server continued a message that it had not begun"),
        ([fragment(TEXT, b"a"), frame(TEXT, b"b")].concat(), 1002, "the server began a message within another one"),
        (fragment(PING, b""), 1002, "the server sent a control frame in fragments"),
        (frame(PING, &[0; 126]), 1002, "the server sent a control frame larger than 125 bytes"),
        (frame(CLOSE, b"x"), 1002, "the server sent a close frame that cannot be read"),
        (frame(CLOSE, b"\x03\xe8\xff"), 1007, "the server sent text that is not valid UTF-8"),
        (frame(TEXT, b"caf\xe9"), 1007, "the server sent text that is not valid UTF-8"),
        ([fragment(TEXT, b"\xf0\x9f"), frame(0, b"x")].concat(), 1007, "the server sent text that is not valid UTF-8"),
    ] {
        let peer = sending(bytes.clone());
        assert_eq!(Side::end_of(&Sender::new(), plan(&peer)), violation(code, told), "{bytes:?}");
        eventually("the close frame", || {
            peer.notes().last().is_some_and(|note| note.starts_with(&format!("close {code} ")))
        });
    }
}

#[test]
fn what_came_before_a_broken_frame_is_told() {
    let peer = sending([frame(TEXT, b"good"), frame(3, b"")].concat());
    let sender = Sender::new();
    let mut side = Side::opened(&sender, plan(&peer));
    assert!(matches!(side.end(), End::Violation { code: 1002, .. }));
    assert_eq!(side.story().texts(), ["good"]);
}

#[test]
fn a_message_that_is_too_large_is_refused_as_a_whole_and_in_fragments() {
    let small = |peer: &Peer| Plan { rules: Rules { max_message_bytes: 1_000, ..rules() }, ..plan(peer) };
    let told = violation(1009, "the server sent a message larger than the limit of 1000 bytes");
    // Only the head of a frame that would be a gigabyte.
    let gigabyte = [&[0x82, 127][..], &(1_u64 << 30).to_be_bytes()].concat();
    let fragments = [fragment(BINARY, &[0; 600]), fragment(0, &[0; 401])].concat();
    for bytes in [frame(TEXT, &[b'x'; 1_001]), gigabyte, fragments] {
        let peer = sending(bytes);
        assert_eq!(Side::end_of(&Sender::new(), small(&peer)), told);
        eventually("the close frame", || peer.noted("close 1009 message too large") == 1);
    }
    let sender = Sender::new();
    let peer = sending([frame(TEXT, &[b'x'; 1_000]), fragment(BINARY, &[0; 600]), frame(0, &[0; 400])].concat());
    let mut side = Side::opened(&sender, small(&peer));
    side.hear(2);
}

#[test]
fn fragments_that_never_end_are_bounded() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.welcome().await;
        conn.send(&fragment(BINARY, &[0; 10_000])).await;
        let more = fragment(0, &[0; 10_000]);
        while conn.send(&more).await {}
        conn.note("closed");
    });
    let end = Side::end_of(&Sender::new(), plan(&peer));
    assert!(matches!(end, End::Violation { code: 1009, .. }), "{end:?}");
    eventually("the connection is closed", || peer.noted("closed") == 1);
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
    let slower = Rules { dead_after: Duration::from_secs(1), ..quick };
    let mut side = Side::opened(&sender, Plan { rules: slower, socket: SocketId(2), ..plan(&living) });
    std::thread::sleep(Duration::from_millis(1_500));
    side.take();
    assert_eq!(side.told(SocketId(2)).end, None);
}

#[test]
fn a_large_message_that_comes_slowly_is_no_silence() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.welcome().await;
        for part in frame(TEXT, &[b'x'; 60]).chunks(1) {
            conn.send(part).await;
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        conn.until_closed().await;
    });
    let quick = Rules { dead_after: Duration::from_millis(1_200), ..rules() };
    let sender = Sender::new();
    let mut side = Side::opened(&sender, Plan { rules: quick, ..plan(&peer) });
    side.hear(1);
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
    let mut side = Side::opened(&sender, Plan { rules: quick.clone(), ..plan(&peer) });
    // More than the sockets of both ends hold.
    side.say((0..64).map(|id| text(id, "x".repeat(1 << 20))).collect());
    sender.engine.open_socket(Plan { rules: quick, socket: SocketId(2), ..plan(&peer) });
    sender.engine.say(SocketId(2), vec![text(1, "hello")]);
    side.until("the neighbour's message is taken", |side| side.told(SocketId(2)).taken == 1);
    assert_eq!(side.end(), End::Silent);
    assert_eq!(side.story().taken, 0);
}

#[test]
fn a_peer_that_asks_and_takes_no_answer_is_not_read_for_ever() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.welcome().await;
        let pings: Vec<u8> = (0..1_000).flat_map(|_| frame(PING, &[b'x'; 125])).collect();
        let mut sent = 0_usize;
        while conn.send(&pings).await {
            sent += pings.len();
        }
        conn.note(&sent.to_string());
    });
    let quick = Rules { dead_after: Duration::from_secs(2), ..rules() };
    assert_eq!(Side::end_of(&Sender::new(), Plan { rules: quick, ..plan(&peer) }), End::Silent);
    eventually("the connection is closed", || peer.notes().len() == 2);
    let sent: usize = peer.notes()[1].parse().unwrap();
    assert!(sent < 64 << 20, "{sent} bytes of pings were read");
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
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
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
fn a_stop_closes_every_websocket_and_takes_no_longer_than_its_grace() {
    let (polite, rude) = (taking(), Peer::scripted(stubborn));
    let sender = Sender::new();
    let mut side = Side::opened(&sender, plan(&polite));
    side.say(vec![text(1, "hello")]);
    side.taken(1);
    sender.engine.open_socket(Plan { socket: SocketId(2), ..plan(&rude) });
    side.until("the second one is open", |side| side.told(SocketId(2)).opened == 1);
    sender.engine.open_socket(Plan { socket: SocketId(3), ..plan(&Peer::silent()) });
    let mut stories = std::mem::take(&mut side.stories);
    let began = Instant::now();
    let stopped = sender.engine.stop(Duration::from_millis(1_500));
    assert!(began.elapsed() < Duration::from_millis(1_900), "{:?}", began.elapsed());
    let sender = Sender::new();
    let mut side = Side::new(&sender);
    std::mem::swap(&mut side.stories, &mut stories);
    side.note(stopped.sockets);
    let end = |number| side.told(SocketId(number)).end.clone();
    // The second one's peer has not answered; who opens it again does not need to know.
    assert_eq!((end(1), end(2), end(3)), (Some(End::ClosedByUs), None, Some(End::ClosedByUs)));
    assert_eq!(polite.noted("close 1001 going away"), 1);
    eventually("the connection is closed", || rude.noted("closed") == 1);
}

#[test]
fn a_stop_without_websockets_waits_for_nothing() {
    let began = Instant::now();
    Sender::new().engine.stop(Duration::from_secs(30));
    assert!(began.elapsed() < Duration::from_secs(5));
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
