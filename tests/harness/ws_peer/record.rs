//! What a peer has seen, and what its connections share.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use super::answer::Answer;
use super::connection::Order;

/// A handshake that came.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Which of the peer's connections it came on, from 1.
    pub connection: usize,
    /// The path, without the query.
    pub path: String,
    /// What follows the question mark, still encoded; empty without one.
    pub query: String,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    /// What was offered, in order.
    pub subprotocols: Vec<String>,
    /// When it had come.
    pub at: Instant,
}

/// A frame that was heard. Messages in pieces count as one.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Over which connection.
    pub connection: usize,
    /// What.
    pub said: Said,
    /// When it was read.
    pub at: Instant,
}

/// What a client may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Text(String),
    Bytes(Bytes),
    Ping(Bytes),
    Pong(Bytes),
    /// Code and reason.
    Close(Option<u16>, String),
}

/// What the connections share.
pub(super) struct State {
    scripts: Mutex<HashMap<String, VecDeque<Answer>>>,
    otherwise: Mutex<Answer>,
    arrivals: Mutex<Vec<Arrival>>,
    heard: Mutex<Vec<Heard>>,
    open: Mutex<BTreeMap<usize, Open>>,
    accepted: AtomicUsize,
}

/// A websocket that stands.
pub(super) struct Open {
    pub room: Option<String>,
    pub orders: UnboundedSender<Order>,
    pub reset: Arc<Notify>,
}

impl Arrival {
    /// The first header of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The room its URL names.
    pub fn room(&self) -> Option<String> {
        self.query.split('&').find_map(|pair| pair.strip_prefix("room=")).map(str::to_owned)
    }
}

impl Said {
    /// The text of a text message.
    pub fn into_text(self) -> Option<String> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

impl State {
    pub fn new(otherwise: Answer) -> Self {
        Self {
            scripts: Mutex::default(),
            otherwise: Mutex::new(otherwise),
            arrivals: Mutex::default(),
            heard: Mutex::default(),
            open: Mutex::default(),
            accepted: AtomicUsize::default(),
        }
    }

    pub fn next_number(&self) -> usize {
        self.accepted.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub fn script(&self, path: &str, answers: VecDeque<Answer>) {
        assert!(!answers.is_empty(), "a script needs an answer");
        lock(&self.scripts).insert(path.to_owned(), answers);
    }

    pub fn otherwise(&self, answer: Answer) {
        *lock(&self.otherwise) = answer;
    }

    /// Records a handshake, and gives its answer.
    pub fn arrived(&self, arrival: &Arrival) -> Answer {
        let scripted = match lock(&self.scripts).get_mut(&arrival.path) {
            Some(answers) if answers.len() > 1 => answers.pop_front(),
            Some(answers) => answers.front().cloned(),
            None => None,
        };
        lock(&self.arrivals).push(arrival.clone());
        scripted.unwrap_or_else(|| lock(&self.otherwise).clone())
    }

    pub fn arrivals(&self) -> Vec<Arrival> {
        lock(&self.arrivals).clone()
    }

    pub fn hear(&self, connection: usize, said: Said) {
        lock(&self.heard).push(Heard { connection, said, at: Instant::now() });
    }

    pub fn heard(&self) -> Vec<Heard> {
        lock(&self.heard).clone()
    }

    /// Has the websocket count as open until what this gives is dropped, which also happens when its task is aborted.
    pub fn opened(&self, connection: usize, open: Open) -> Counted<'_> {
        lock(&self.open).insert(connection, open);
        Counted { state: self, connection }
    }

    /// The numbers of the open websockets.
    pub fn open(&self) -> Vec<usize> {
        lock(&self.open).keys().copied().collect()
    }

    pub fn order(&self, connection: usize, order: Order) {
        let open = lock(&self.open);
        let open = open.get(&connection).unwrap_or_else(|| panic!("websocket {connection} is not open"));
        // It may be ending.
        let _ = open.orders.send(order);
    }

    pub fn reset(&self, connection: usize) {
        let open = lock(&self.open);
        open.get(&connection).unwrap_or_else(|| panic!("websocket {connection} is not open")).reset.notify_one();
    }

    /// Has all others in the room of a websocket say something.
    pub fn relay(&self, connection: usize, order: &Order) {
        let open = lock(&self.open);
        let room = open.get(&connection).and_then(|own| own.room.as_ref());
        for (_, other) in open.iter().filter(|(number, other)| **number != connection && other.room.as_ref() == room) {
            let _ = other.orders.send(order.clone());
        }
    }
}

/// An open websocket that is counted.
pub(super) struct Counted<'a> {
    state: &'a State,
    connection: usize,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        lock(&self.state.open).remove(&self.connection);
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().expect("no test panics in here")
}
