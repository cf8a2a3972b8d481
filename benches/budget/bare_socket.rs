//! The limit: a bare websocket client on a thread of its own, as the engine is.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::socket_peer::{SEND, SocketPeer, text};

type Socket = WebSocketStream<TcpStream>;

/// Sends so many messages, and gives the time until the peer has read them all: it answers the ping behind them.
pub async fn send(peer: &SocketPeer, messages: usize) -> Duration {
    on_its_thread(peer.address(), async move |mut socket| {
        let one = Message::Text(text());
        let began = Instant::now();
        for _ in 0..messages {
            socket.feed(one.clone()).await.expect("the peer reads");
        }
        socket.send(Message::Ping(Default::default())).await.expect("the peer reads");
        while !matches!(socket.next().await, Some(Ok(Message::Pong(_)))) {}
        began.elapsed()
    })
    .await
}

/// Asks for so many messages, and gives the time until all have been read and dropped.
pub async fn receive(peer: &SocketPeer, messages: usize) -> Duration {
    on_its_thread(peer.address(), async move |mut socket| {
        let began = Instant::now();
        socket.send(Message::text(format!("{SEND}{messages}"))).await.expect("the peer reads");
        for _ in 0..messages {
            assert!(matches!(socket.next().await, Some(Ok(Message::Text(_)))), "the peer sends");
        }
        began.elapsed()
    })
    .await
}

/// Sends so many messages one after the other, each once the one before was read, and gives what passes from the write of
/// each until the peer has read it.
pub async fn one_by_one(peer: &SocketPeer, messages: usize) -> Vec<Duration> {
    let mut socket = open(peer.address()).await;
    let mut times = Vec::with_capacity(messages);
    for _ in 0..messages {
        let before = peer.messages();
        let began = Instant::now();
        socket.send(Message::Text(text())).await.expect("the peer reads");
        times.push(read_after(peer, before, began).await);
    }
    times
}

/// Waits until the peer has read one more message than before, and gives the time since it began.
pub async fn read_after(peer: &SocketPeer, before: u64, began: Instant) -> Duration {
    while peer.messages() == before {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    peer.last_read().saturating_duration_since(began)
}

async fn on_its_thread<T: Send + 'static>(
    address: SocketAddr,
    work: impl AsyncFnOnce(Socket) -> T + Send + 'static,
) -> T {
    let thread = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime can be built").block_on(async move { work(open(address).await).await })
    };
    tokio::task::spawn_blocking(thread).await.expect("the peer can be talked to")
}

async fn open(address: SocketAddr) -> Socket {
    let stream = TcpStream::connect(address).await.expect("the peer listens");
    stream.set_nodelay(true).expect("it is a TCP socket");
    client_async(format!("ws://{address}/"), stream).await.expect("the peer speaks it").0
}
