//! An HTTP/1.1 server in the test's process that answers by script and remembers what it was asked. It is written
//! on bare sockets, because most of what it is for (lies about lengths, resets, half an answer) is what a real
//! server's library prevents.

mod connection;
mod reply;
pub(super) mod request;
mod script;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::net::{TcpListener, TcpSocket};
use tokio::task::{JoinHandle, JoinSet};

use super::cluster::SERVER_DEADLINE;
use super::wait::eventually;

pub use reply::{Gate, Reply};
pub use request::Request;
use script::{Script, State};

/// A running peer. Dropping it closes its port and its connections.
pub struct Peer {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

impl Peer {
    /// A peer on a free port of 127.0.0.1; it answers 404 where nothing is scripted.
    pub async fn start() -> Self {
        Self::on_address("127.0.0.1:0").await
    }

    /// A peer on the given address, such as a port that refused connections until now.
    pub async fn on_address(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.expect("a loopback port can be bound");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = Arc::new(State::default());
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { address, state, accepting }
    }

    /// An address of 127.0.0.1 on which nobody listens.
    pub async fn refusing_address() -> SocketAddr {
        let socket = TcpSocket::new_v4().expect("a socket can be made");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port is free");
        let address = socket.local_addr().expect("a bound socket has an address");
        // Bound for the life of the process, so that nobody else comes to listen there.
        std::mem::forget(socket);
        address
    }

    /// Where the peer listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers every request for the path, whatever its query, with this reply.
    pub fn on(&self, path: &str, reply: Reply) -> &Self {
        self.sequence(path, [reply])
    }

    /// Answers the first request for the path with the first reply, and so on; the last one is for all the rest.
    pub fn sequence(&self, path: &str, replies: impl IntoIterator<Item = Reply>) -> &Self {
        self.script(path, Script::Sequence(replies.into_iter().collect()))
    }

    /// Answers each request for the path with what the function makes of it.
    pub fn answer(&self, path: &str, function: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> &Self {
        self.script(path, Script::Function(Arc::new(function)))
    }

    /// Answers each request for a path that has no script.
    pub fn otherwise(&self, function: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> &Self {
        *self.state.otherwise.lock().expect("no script panics") = Script::Function(Arc::new(function));
        self
    }

    /// All requests that came in whole, in their order.
    pub fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().expect("no script panics").clone()
    }

    /// The requests for a path.
    pub fn requests_for(&self, path: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.path == path).collect()
    }

    /// How many requests came for a path.
    pub fn count(&self, path: &str) -> usize {
        self.state.requests.lock().expect("no script panics").iter().filter(|request| request.path == path).count()
    }

    /// Waits until at least `n` requests have come, and gives all.
    pub async fn wait_for(&self, n: usize) -> Vec<Request> {
        let what = format!("the peer has received {n} requests");
        eventually(&what, SERVER_DEADLINE, || async { Some(self.requests()).filter(|all| all.len() >= n) }).await
    }

    /// Waits until at least `n` requests for the path have come, and gives those.
    pub async fn wait_for_path(&self, path: &str, n: usize) -> Vec<Request> {
        let what = format!("the peer has received {n} requests for {path}");
        eventually(&what, SERVER_DEADLINE, || async { Some(self.requests_for(path)).filter(|all| all.len() >= n) })
            .await
    }

    /// Forgets the requests so far; the scripts stay where they are.
    pub fn forget(&self) {
        self.state.requests.lock().expect("no script panics").clear();
    }

    /// How many connections are open now.
    pub fn open_connections(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }

    /// How many connections were ever made.
    pub fn connections(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// How many requests wait for the end of their reply.
    pub fn in_flight(&self) -> usize {
        self.state.in_flight.load(Ordering::SeqCst)
    }

    /// The most requests that ever waited at once.
    pub fn most_in_flight(&self) -> usize {
        self.state.most_in_flight.load(Ordering::SeqCst)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The connections live in the accepting task, so that ending it ends them.
async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let number = state.accepted.fetch_add(1, Ordering::SeqCst) + 1;
        connections.spawn(connection::serve(stream, number, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}
