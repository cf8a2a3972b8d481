//! One connection of a peer, from its handshake to its end.

use std::future::pending;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role};

use super::super::peer::request;
use super::answer::{Answer, Manner};
use super::record::{Arrival, Open, Said, State};

/// What a websocket is told to do. Orders are obeyed one after the other.
#[derive(Clone, Debug)]
pub(super) enum Order {
    Text(String),
    Bytes(Bytes),
    Ping(Bytes),
    Raw(Bytes),
    Close(Option<(u16, String)>),
    StopReading,
    GoOnReading,
    HangUp,
}

/// Serves a connection to its end. Errors end it as well: the client may break off at any time.
pub(super) async fn serve(mut stream: TcpStream, number: usize, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let mut buffer = BytesMut::new();
    let Ok(Some(request)) = request::read(&mut stream, &mut buffer, number).await else { return };
    let offered = request.header("sec-websocket-protocol").unwrap_or_default();
    let subprotocols = offered.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    let request::Request { path, query, headers, at, connection, .. } = request;
    let arrival = Arrival { connection, path, query, headers, subprotocols, at };
    let answer = state.arrived(&arrival);
    let Some(manner) = answer.manner() else {
        return no_websocket(stream, &answer, &arrival).await;
    };
    let (orders, inbox) = unbounded_channel();
    let reset = Arc::new(Notify::new());
    // It is open before the client can know, so that nobody who has heard of it finds it missing.
    let _open = state.opened(number, Open { room: arrival.room(), orders, reset: Arc::clone(&reset) });
    if stream.write_all(&answer.head(&arrival)).await.is_err() {
        return;
    }
    let socket = WebSocketStream::from_partially_read(stream, buffer.to_vec(), Role::Server, None).await;
    let mut talk = Talk { socket, number, manner, reads: manner != Manner::Ignore, state: &state };
    tokio::select! {
        _ended = talk.go_on(inbox) => {}
        () = reset.notified() => {
            let _ = talk.socket.get_ref().set_zero_linger();
        }
    }
}

async fn no_websocket(mut stream: TcpStream, answer: &Answer, arrival: &Arrival) {
    let written = stream.write_all(&answer.head(arrival)).await;
    if matches!(answer, Answer::Nothing | Answer::WrongKey) && written.is_ok() {
        // Until the client has gone. What it says meanwhile is of no interest.
        let mut waste = [0; 1_024];
        while tokio::io::AsyncReadExt::read(&mut stream, &mut waste).await.is_ok_and(|read| read > 0) {}
    }
    let _ = stream.shutdown().await;
}

struct Talk<'a> {
    socket: WebSocketStream<TcpStream>,
    number: usize,
    manner: Manner,
    reads: bool,
    state: &'a State,
}

impl Talk<'_> {
    /// Until either side has closed.
    async fn go_on(&mut self, mut orders: UnboundedReceiver<Order>) -> Result<(), Error> {
        loop {
            tokio::select! {
                Some(order) = orders.recv() => {
                    if matches!(order, Order::HangUp) {
                        return Ok(self.socket.get_mut().shutdown().await?);
                    }
                    self.obey(order).await?;
                }
                next = next(&mut self.socket, self.reads) => {
                    let Some(message) = next else { return Ok(()) };
                    self.hear(message?).await?;
                }
            }
        }
    }

    async fn obey(&mut self, order: Order) -> Result<(), Error> {
        match order {
            Order::Text(text) => self.socket.send(Message::text(text)).await?,
            Order::Bytes(bytes) => self.socket.send(Message::Binary(bytes)).await?,
            Order::Ping(bytes) => self.socket.send(Message::Ping(bytes)).await?,
            Order::Raw(bytes) => self.socket.get_mut().write_all(&bytes).await?,
            Order::Close(said) => {
                let frame = said.map(|(code, reason)| CloseFrame { code: code.into(), reason: reason.into() });
                self.socket.close(frame).await?;
            }
            Order::StopReading => self.reads = false,
            Order::GoOnReading => self.reads = true,
            Order::HangUp => {}
        }
        Ok(())
    }

    async fn hear(&mut self, message: Message) -> Result<(), Error> {
        let (said, order) = match message {
            Message::Text(text) => {
                let text = text.as_str().to_owned();
                (Said::Text(text.clone()), Some(Order::Text(text)))
            }
            Message::Binary(bytes) => (Said::Bytes(bytes.clone()), Some(Order::Bytes(bytes))),
            Message::Ping(bytes) => (Said::Ping(bytes), None),
            Message::Pong(bytes) => (Said::Pong(bytes), None),
            Message::Close(frame) => {
                let reason = frame.as_ref().map(|frame| frame.reason.as_str().to_owned()).unwrap_or_default();
                (Said::Close(frame.map(|frame| frame.code.into()), reason), None)
            }
            Message::Frame(_) => return Ok(()),
        };
        self.state.hear(self.number, said);
        match (self.manner, order) {
            (Manner::Echo, Some(order)) => self.obey(order).await?,
            (Manner::Relay, Some(order)) => self.state.relay(self.number, &order),
            // The library has prepared the answer to a ping, and sends it when it is asked to send anything.
            (_, None) => self.socket.flush().await?,
            _ => {}
        }
        Ok(())
    }
}

async fn next(socket: &mut WebSocketStream<TcpStream>, reads: bool) -> Option<Result<Message, Error>> {
    if reads { socket.next().await } else { pending().await }
}
