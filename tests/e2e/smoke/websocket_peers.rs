//! The websocket peer: what it records, and each thing it can be told to do.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::harness::wait::within;
use crate::harness::ws_peer::{Answer, Manner, Said};
use crate::harness::{WsPeer, eventually};

const SOON: Duration = Duration::from_secs(60);

type Socket = WebSocketStream<TcpStream>;

async fn open(peer: &WsPeer, path: &str) -> Result<Socket, Error> {
    open_with(peer, path, &[]).await
}

async fn open_with(peer: &WsPeer, path: &str, headers: &[(&'static str, &'static str)]) -> Result<Socket, Error> {
    let mut request = peer.url(path).into_client_request()?;
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().expect("it is a header's value"));
    }
    let stream = TcpStream::connect(peer.address()).await?;
    Ok(client_async(request, stream).await?.0)
}

async fn hears(socket: &mut Socket) -> Message {
    let next = within("a message comes", SOON, socket.next()).await;
    next.expect("the websocket stands").expect("it is a message")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_and_what_is_said_is_recorded() {
    let peer = WsPeer::start().await;
    peer.otherwise(Answer::Choose("chat", Manner::Listen));
    let headers = [("x-name", "value"), ("sec-websocket-protocol", "chat, superchat")];
    let mut socket = open_with(&peer, "/room?room=a&x=1", &headers).await.unwrap();
    socket.send(Message::text("one")).await.unwrap();
    socket.send(Message::binary(vec![0, 255])).await.unwrap();
    socket.close(None).await.unwrap();
    let arrival = &peer.wait_for_arrivals(1).await[0];
    assert_eq!((arrival.connection, arrival.path.as_str(), arrival.query.as_str()), (1, "/room", "room=a&x=1"));
    assert_eq!(arrival.subprotocols, ["chat", "superchat"]);
    assert_eq!(arrival.header("x-name"), Some("value"));
    assert_eq!(peer.wait_for_end(1).await, Some((None, String::new())));
    let said: Vec<Said> = peer.heard().into_iter().map(|heard| heard.said).collect();
    let bytes = Said::Bytes(vec![0, 255].into());
    assert_eq!(said, [Said::Text("one".to_owned()), bytes, Said::Close(None, String::new())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_is_told_to_say_is_said_in_order() {
    let peer = WsPeer::start().await;
    let mut socket = open(&peer, "/").await.unwrap();
    peer.text(1, "one");
    peer.ping(1, "p");
    peer.bytes(1, "two");
    peer.raw(1, &b"\x81\x05three"[..]);
    peer.close(1, 4000, "enough");
    assert_eq!(hears(&mut socket).await, Message::text("one"));
    assert_eq!(hears(&mut socket).await, Message::Ping("p".into()));
    assert_eq!(hears(&mut socket).await, Message::binary("two"));
    assert_eq!(hears(&mut socket).await, Message::text("three"));
    let Message::Close(Some(frame)) = hears(&mut socket).await else { panic!("it was to be closed") };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4000, "enough"));
    let _closed = socket.next().await;
    peer.wait_for_end(1).await;
    assert!(peer.heard().iter().any(|heard| heard.said == Said::Pong("p".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_echoes_and_a_relay_hands_on_to_the_others_in_the_room() {
    let peer = WsPeer::echo().await;
    let mut socket = open(&peer, "/").await.unwrap();
    socket.send(Message::text("back")).await.unwrap();
    assert_eq!(hears(&mut socket).await, Message::text("back"));
    let relay = WsPeer::relay().await;
    let mut one = open(&relay, "/?room=a").await.unwrap();
    let mut two = open(&relay, "/?room=a").await.unwrap();
    let mut other = open(&relay, "/?room=b").await.unwrap();
    one.send(Message::text("to two")).await.unwrap();
    assert_eq!(hears(&mut two).await, Message::text("to two"));
    two.send(Message::text("to one")).await.unwrap();
    assert_eq!(hears(&mut one).await, Message::text("to one"));
    relay.text(3, "from the peer");
    assert_eq!(hears(&mut other).await, Message::text("from the peer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_are_answered_by_script() {
    let peer = WsPeer::start().await;
    peer.sequence("/", [Answer::refuse(503), Answer::WrongKey, Answer::Raw("no HTTP\r\n\r\n".into())]);
    let Err(Error::Http(response)) = open(&peer, "/").await else { panic!("it was to be refused") };
    assert_eq!(response.status(), 503);
    let wrong = open(&peer, "/").await;
    assert!(matches!(wrong, Err(Error::Protocol(ProtocolError::SecWebSocketAcceptKeyMismatch))), "{wrong:?}");
    assert!(open(&peer, "/").await.is_err());
    peer.on("/never", Answer::Nothing);
    let ignored = async {
        eventually("the handshake has come", SOON, || async { peer.arrivals().len() == 4 }).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    tokio::select! {
        answer = open(&peer, "/never") => panic!("it was to go unanswered: {answer:?}"),
        () = ignored => {}
    }
    assert_eq!(peer.open(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_can_be_reset_hung_up_and_left_unread() {
    let peer = WsPeer::start().await;
    let mut first = open(&peer, "/").await.unwrap();
    peer.reset(1);
    let ended = within("the reset is noticed", SOON, first.next()).await;
    assert!(ended.is_none_or(|ended| ended.is_err()));
    let mut second = open(&peer, "/").await.unwrap();
    peer.hang_up(2);
    let ended = within("the end is noticed", SOON, second.next()).await;
    assert!(ended.is_none_or(|ended| ended.is_err()));
    let mut third = open(&peer, "/").await.unwrap();
    peer.stop_reading(3);
    peer.text(3, "said, but deaf");
    assert_eq!(hears(&mut third).await, Message::text("said, but deaf"));
    third.send(Message::text("late")).await.unwrap();
    assert!(peer.texts().is_empty());
    peer.go_on_reading(3);
    assert_eq!(peer.wait_for_texts(1).await, ["late"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_stopped_and_started_on_the_same_port() {
    let mut peer = WsPeer::echo().await;
    let mut before = open(&peer, "/").await.unwrap();
    peer.stop().await;
    assert!(within("the end is noticed", SOON, before.next()).await.is_none_or(|ended| ended.is_err()));
    assert!(open(&peer, "/").await.is_err());
    peer.start_again().await;
    let mut after = open(&peer, "/").await.unwrap();
    after.send(Message::text("again")).await.unwrap();
    assert_eq!(hears(&mut after).await, Message::text("again"));
    eventually("the websocket has the next number", SOON, || async { peer.open() == 1 && peer.newest() == 2 }).await;
}
