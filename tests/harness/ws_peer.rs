//! A websocket server in the test's process that behaves by script and remembers who came and what was said. Handshakes
//! are answered on the bare socket, because most of what it is for is what a real server's library prevents.

mod answer;
mod connection;
mod record;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::cluster::SERVER_DEADLINE;
use super::wait::eventually;

pub use answer::{Answer, Manner};
use connection::Order;
use record::State;
pub use record::{Arrival, Heard, Said};

/// A running peer. Dropping it closes its port and its connections.
pub struct WsPeer {
    address: SocketAddr,
    state: Arc<State>,
    /// None while it is stopped.
    accepting: Option<JoinHandle<()>>,
}

impl WsPeer {
    /// A peer on a free port of 127.0.0.1 that accepts everybody and says nothing of its own.
    pub async fn start() -> Self {
        Self::with(Manner::Listen).await
    }

    /// One that says back what it hears.
    pub async fn echo() -> Self {
        Self::with(Manner::Echo).await
    }

    /// One that hands on what it hears to all others whose URL has the same `?room=`.
    pub async fn relay() -> Self {
        Self::with(Manner::Relay).await
    }

    async fn with(manner: Manner) -> Self {
        let state = Arc::new(State::new(Answer::Accept(manner)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port can be bound");
        let address = listener.local_addr().expect("a bound socket has an address");
        let accepting = Some(tokio::spawn(accept(listener, Arc::clone(&state))));
        Self { address, state, accepting }
    }

    /// Closes the port and every connection, as when the process is killed: without a close frame, and with what has not
    /// been read lost.
    pub async fn stop(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // Its connections are dropped with it.
            let _aborted = accepting.await;
        }
        eventually("the peer's connections are gone", SERVER_DEADLINE, || async { self.open() == 0 }).await;
    }

    /// Listens again on the same port. What was recorded stays, and connections are numbered on.
    pub async fn start_again(&mut self) {
        assert!(self.accepting.is_none(), "the peer runs already");
        let bind = || async { TcpListener::bind(self.address).await.ok() };
        let listener = eventually("the peer's port can be bound again", SERVER_DEADLINE, bind).await;
        self.accepting = Some(tokio::spawn(accept(listener, Arc::clone(&self.state))));
    }

    /// Where the peer listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    /// Answers every handshake for the path, whatever its query, in this way.
    pub fn on(&self, path: &str, answer: Answer) -> &Self {
        self.sequence(path, [answer])
    }

    /// Answers the first handshake for the path by the first answer, and so on; the last one is for all the rest.
    pub fn sequence(&self, path: &str, answers: impl IntoIterator<Item = Answer>) -> &Self {
        self.state.script(path, answers.into_iter().collect());
        self
    }

    /// Answers each handshake for a path that has no script in this way.
    pub fn otherwise(&self, answer: Answer) -> &Self {
        self.state.otherwise(answer);
        self
    }

    /// All handshakes that came in whole, refused ones among them, in their order.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.state.arrivals()
    }

    /// All frames that were heard, in the order they were read.
    pub fn heard(&self) -> Vec<Heard> {
        self.state.heard()
    }

    /// The text messages that were heard over all connections, in the order they were read.
    pub fn texts(&self) -> Vec<String> {
        self.heard().into_iter().filter_map(|heard| heard.said.into_text()).collect()
    }

    /// The text messages that were heard over one connection.
    pub fn texts_of(&self, connection: usize) -> Vec<String> {
        let heard = self.heard().into_iter().filter(|heard| heard.connection == connection);
        heard.filter_map(|heard| heard.said.into_text()).collect()
    }

    /// How many websockets are open now.
    pub fn open(&self) -> usize {
        self.state.open().len()
    }

    /// The number of the newest websocket that is open.
    pub fn newest(&self) -> usize {
        self.state.open().last().copied().expect("a websocket is open")
    }

    /// Waits until at least `n` handshakes have come, and gives all.
    pub async fn wait_for_arrivals(&self, n: usize) -> Vec<Arrival> {
        let what = format!("{n} handshakes have come");
        eventually(&what, SERVER_DEADLINE, || async { Some(self.arrivals()).filter(|all| all.len() >= n) }).await
    }

    /// Waits until exactly `n` websockets are open, and gives the number of the newest.
    pub async fn wait_for_open(&self, n: usize) -> usize {
        let what = format!("{n} websockets are open");
        let open =
            eventually(&what, SERVER_DEADLINE, || async { Some(self.state.open()).filter(|all| all.len() == n) });
        open.await.last().copied().unwrap_or_default()
    }

    /// Waits until at least `n` text messages were heard, and gives all.
    pub async fn wait_for_texts(&self, n: usize) -> Vec<String> {
        let what = format!("{n} text messages were heard");
        eventually(&what, SERVER_DEADLINE, || async { Some(self.texts()).filter(|all| all.len() >= n) }).await
    }

    /// Waits for the end of a connection, and gives the code and reason of the close frame that its client sent, if any.
    pub async fn wait_for_end(&self, connection: usize) -> Option<(Option<u16>, String)> {
        let what = format!("connection {connection} has ended");
        let gone = || async { !self.state.open().contains(&connection) };
        eventually(&what, SERVER_DEADLINE, gone).await;
        let heard = self.heard().into_iter().filter(|heard| heard.connection == connection);
        heard.rev().find_map(|heard| match heard.said {
            Said::Close(code, reason) => Some((code, reason)),
            _ => None,
        })
    }

    /// Sends a text message.
    pub fn text(&self, connection: usize, text: impl Into<String>) {
        self.order(connection, Order::Text(text.into()));
    }

    /// Sends a binary message.
    pub fn bytes(&self, connection: usize, bytes: impl Into<Bytes>) {
        self.order(connection, Order::Bytes(bytes.into()));
    }

    /// Sends a ping.
    pub fn ping(&self, connection: usize, bytes: impl Into<Bytes>) {
        self.order(connection, Order::Ping(bytes.into()));
    }

    /// Sends bytes that may be no frame.
    pub fn raw(&self, connection: usize, bytes: impl Into<Bytes>) {
        self.order(connection, Order::Raw(bytes.into()));
    }

    /// Sends a close frame, after all that was to be sent before, and closes the connection once it is answered.
    pub fn close(&self, connection: usize, code: u16, reason: &str) {
        self.order(connection, Order::Close(Some((code, reason.to_owned()))));
    }

    /// The same without a code.
    pub fn close_without_code(&self, connection: usize) {
        self.order(connection, Order::Close(None));
    }

    /// Reads nothing more from the connection, pings among it, until told to go on. It can be written to.
    pub fn stop_reading(&self, connection: usize) {
        self.order(connection, Order::StopReading);
    }

    /// Reads again.
    pub fn go_on_reading(&self, connection: usize) {
        self.order(connection, Order::GoOnReading);
    }

    /// Ends the TCP connection by a reset, at once, whatever else was to be done.
    pub fn reset(&self, connection: usize) {
        self.state.reset(connection);
    }

    /// Ends the TCP connection in order, but without a close frame.
    pub fn hang_up(&self, connection: usize) {
        self.order(connection, Order::HangUp);
    }

    fn order(&self, connection: usize, order: Order) {
        self.state.order(connection, order);
    }
}

impl Drop for WsPeer {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

/// The connections live in the accepting task, so that ending it ends them.
async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let number = state.next_number();
        connections.spawn(connection::serve(stream, number, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}
