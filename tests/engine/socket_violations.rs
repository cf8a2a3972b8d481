//! What a peer of a websocket should not send.

use std::time::Duration;

use pg_edge::domain::socket::end::End;
use pg_edge::domain::socket::plan::{Plan, Rules};

use super::peer::Peer;
use super::sender::{Sender, eventually};
use super::socket_peer::{BINARY, CLOSE, PING, TEXT, close, fragment, frame};
use super::socket_side::{Side, plan, rules};

/// Sends bytes after the handshake, then notes what comes until the end.
pub fn sending(bytes: impl Into<Vec<u8>>) -> Peer {
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

fn violation(code: u16, message: &str) -> End {
    End::Violation { code, message: message.to_owned() }
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
