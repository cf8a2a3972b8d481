//! Websockets with a peer that behaves.

use std::time::Duration;

use bytes::Bytes;
use pg_edge::domain::socket::end::End;
use pg_edge::domain::socket::message::Payload;
use pg_edge::domain::socket::plan::{Outgoing, Plan, Rules, SocketId};

use super::peer::Peer;
use super::sender::{Sender, eventually};
use super::socket_peer::{BINARY, CLOSE, PING, PONG, TEXT, fragment, frame, header, welcome};
use super::socket_side::{Side, plan, rules, text};

/// Answers every message with itself.
pub fn echo() -> Peer {
    Peer::scripted(|mut conn| async move {
        conn.welcome().await;
        while let Some(next) = conn.message().await {
            conn.send(&frame(next.opcode, &next.payload)).await;
            if next.opcode == CLOSE {
                return conn.until_closed().await;
            }
        }
    })
}

/// Takes every message, and notes it.
pub fn taking() -> Peer {
    Peer::scripted(|mut conn| async move {
        conn.welcome().await;
        conn.converse().await;
        conn.until_closed().await;
    })
}

#[test]
fn messages_go_out_and_come_back_in_order() {
    let (peer, sender) = (echo(), Sender::new());
    let mut side = Side::opened(&sender, plan(&peer));
    let texts: Vec<String> = (0..2_000).map(|number| format!("number {number} 💬")).collect();
    for (id, said) in texts.iter().enumerate() {
        side.say(vec![text(id as i64, said)]);
    }
    side.hear(texts.len());
    assert_eq!(side.story().texts(), texts);
    side.taken(texts.len());
    side.close(1000, "done");
    assert_eq!(side.end(), End::ClosedByUs);
    assert_eq!(side.story().taken, texts.len());
}

#[test]
fn binary_messages_and_empty_ones_and_large_ones_come_back_as_they_went() {
    let (peer, sender) = (echo(), Sender::new());
    let mut side = Side::opened(&sender, plan(&peer));
    let sizes = [0, 1, 125, 126, 65_535, 65_536, 1 << 20];
    let payloads: Vec<Payload> = sizes
        .into_iter()
        .flat_map(|size| [Payload::Binary(Bytes::from(vec![0xff; size])), Payload::Text("é".repeat(size / 2))])
        .collect();
    side.say(
        payloads.iter().enumerate().map(|(id, payload)| Outgoing { id: id as i64, payload: payload.clone() }).collect(),
    );
    side.hear(payloads.len());
    let came: Vec<&Payload> = side.story().messages.iter().map(|message| &message.payload).collect();
    assert!(came.into_iter().eq(payloads.iter()));
}

#[test]
fn what_is_said_before_the_websocket_stands_is_sent_once_it_does() {
    let (peer, sender) = (taking(), Sender::new());
    let mut side = Side::new(&sender);
    sender.engine.open_socket(plan(&peer));
    side.say(vec![text(1, "first"), text(2, "second")]);
    side.say(vec![text(3, "third")]);
    side.until("all are taken", |side| side.told(SocketId(1)).taken == 3);
    side.close(4321, "bye");
    assert_eq!(side.end(), End::ClosedByUs);
    eventually("the close frame comes", || peer.noted("close 4321 bye") == 1);
    assert_eq!(peer.notes()[1..], ["first", "second", "third", "close 4321 bye"]);
}

#[test]
fn the_handshake_is_what_the_standard_says_and_has_the_headers_given() {
    let (peer, sender) = (taking(), Sender::new());
    let mut plan = plan(&peer);
    plan.url = plan.url.join("/a%20path?with=query").unwrap();
    plan.headers.insert("authorization", "Bearer of-news".parse().unwrap());
    let _side = Side::opened(&sender, plan);
    let request = &peer.notes()[0];
    assert!(request.starts_with("GET /a%20path?with=query HTTP/1.1\r\n"), "{request}");
    let value = |name| header(request, name);
    assert_eq!(value("host"), Some(peer.address().to_string().as_str()));
    assert_eq!((value("connection"), value("upgrade")), (Some("Upgrade"), Some("websocket")));
    assert_eq!((value("sec-websocket-version"), value("sec-websocket-protocol")), (Some("13"), None));
    assert_eq!((value("authorization"), value("user-agent")), (Some("Bearer of-news"), Some("pg_edge-test")));
    assert_eq!((value("sec-websocket-extensions"), value("accept-encoding")), (None, None));
    assert_eq!(value("sec-websocket-key").map(str::len), Some(24));
}

#[test]
fn one_of_the_offered_subprotocols_is_chosen() {
    let peer = Peer::scripted(|mut conn| async move {
        let request = conn.request().await.unwrap();
        assert_eq!(header(&request, "sec-websocket-protocol"), Some("v2.chat, v1.chat"));
        conn.send(welcome(&request, "Sec-WebSocket-Protocol: v1.chat\r\n").as_bytes()).await;
        conn.converse().await;
    });
    let sender = Sender::new();
    let offered = vec!["v2.chat".to_owned(), "v1.chat".to_owned()];
    let side = Side::opened(&sender, Plan { subprotocols: offered, ..plan(&peer) });
    assert_eq!(side.story().subprotocol.as_deref(), Some("v1.chat"));
}

#[test]
fn what_comes_with_the_answer_to_the_handshake_is_a_message_already() {
    let peer = Peer::scripted(|mut conn| async move {
        let request = conn.request().await.unwrap();
        conn.send(&[welcome(&request, "").as_bytes(), &frame(TEXT, b"early"), &frame(TEXT, b"bird")].concat()).await;
        conn.converse().await;
    });
    let sender = Sender::new();
    let mut side = Side::opened(&sender, plan(&peer));
    side.hear(2);
    assert_eq!(side.story().texts(), ["early", "bird"]);
}

#[test]
fn fragments_are_one_message_and_pings_between_them_are_answered() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.welcome().await;
        conn.send(&fragment(TEXT, "halb f\u{fc}r".as_bytes())[..]).await;
        conn.send(&frame(PING, b"still there?")).await;
        let pong = conn.frame().await.unwrap();
        assert_eq!((pong.opcode, pong.payload.as_slice()), (PONG, &b"still there?"[..]));
        conn.send(&fragment(0, b" halb")).await;
        conn.send(&frame(0, b"")).await;
        conn.send(&frame(BINARY, b"next")).await;
        conn.converse().await;
    });
    let sender = Sender::new();
    let mut side = Side::opened(&sender, plan(&peer));
    side.hear(2);
    let payloads: Vec<Payload> = side.story().messages.iter().map(|message| message.payload.clone()).collect();
    let next = Payload::Binary(Bytes::from_static(b"next"));
    assert_eq!(payloads, [Payload::Text("halb für halb".to_owned()), next]);
}

#[test]
fn a_heartbeat_is_sent_as_often_as_a_ping_and_counts_as_no_message() {
    let peer = Peer::scripted(|mut conn| async move {
        conn.welcome().await;
        while let Some(next) = conn.frame().await {
            match next.opcode {
                PING => {
                    conn.note("ping");
                    conn.send(&frame(PONG, &next.payload)).await;
                }
                _ => conn.note(&String::from_utf8(next.payload).unwrap()),
            }
        }
    });
    let sender = Sender::new();
    let quick = Rules { ping_every: Duration::from_millis(20), heartbeat: Some("thump".to_owned()), ..rules() };
    let mut side = Side::opened(&sender, Plan { rules: quick, ..plan(&peer) });
    eventually("some beats", || peer.noted("thump") >= 5 && peer.noted("ping") >= 5);
    side.take();
    assert_eq!((side.story().taken, side.story().end.clone()), (0, None));
}

#[test]
fn many_messages_come_in_few_pieces_and_wakes() {
    const COUNT: usize = 20_000;
    let peer = Peer::scripted(|mut conn| async move {
        conn.welcome().await;
        let batch: Vec<u8> = (0..100).flat_map(|_| frame(TEXT, b"0123456789")).collect();
        for _ in 0..COUNT / 100 {
            conn.send(&batch).await;
        }
        conn.converse().await;
    });
    let sender = Sender::new();
    let mut side = Side::opened(&sender, plan(&peer));
    side.hear(COUNT);
    let pieces = side.story().pieces;
    assert!(pieces <= COUNT / 50, "{pieces} pieces");
    // What comes while it is being looked wakes once more, though it has been taken by then.
    assert!(side.wakes <= 2 * pieces + 2, "{} wakes for {pieces} pieces", side.wakes);
}
