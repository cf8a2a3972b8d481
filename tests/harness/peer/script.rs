//! What the peer answers where, and what it has seen.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::{Peer, Reply, Request};

/// The answers of one path.
pub enum Script {
    /// One after the other; the last is repeated.
    Sequence(VecDeque<Reply>),
    /// Made for each request.
    Function(Arc<dyn Fn(&Request) -> Reply + Send + Sync>),
}

impl Script {
    fn next(&mut self, request: &Request) -> Reply {
        match self {
            Self::Sequence(replies) if replies.len() > 1 => replies.pop_front(),
            Self::Sequence(replies) => replies.front().cloned(),
            Self::Function(function) => Some(function(request)),
        }
        .unwrap_or_else(|| Reply::text(500, "the script of this path is empty"))
    }
}

/// What a peer's connections share.
pub struct State {
    pub scripts: Mutex<HashMap<String, Script>>,
    pub otherwise: Mutex<Script>,
    pub requests: Mutex<Vec<Request>>,
    pub accepted: AtomicUsize,
    pub open: AtomicUsize,
    pub in_flight: AtomicUsize,
    pub most_in_flight: AtomicUsize,
}

impl Default for State {
    fn default() -> Self {
        let not_found = Reply::text(404, "nothing is scripted for this path");
        Self {
            scripts: Mutex::default(),
            otherwise: Mutex::new(Script::Sequence([not_found].into())),
            requests: Mutex::default(),
            accepted: AtomicUsize::default(),
            open: AtomicUsize::default(),
            in_flight: AtomicUsize::default(),
            most_in_flight: AtomicUsize::default(),
        }
    }
}

impl State {
    /// Records the request and gives its reply.
    pub fn reply_to(&self, request: Request) -> Reply {
        let mut scripts = self.scripts.lock().expect("no script panics");
        let reply = match scripts.get_mut(&request.path) {
            Some(script) => script.next(&request),
            None => self.otherwise.lock().expect("no script panics").next(&request),
        };
        self.requests.lock().expect("no script panics").push(request);
        reply
    }
}

impl Peer {
    pub(super) fn script(&self, path: &str, script: Script) -> &Self {
        self.state.scripts.lock().expect("no script panics").insert(path.to_owned(), script);
        self
    }
}

/// Counts up now and down when it is dropped, which also happens when the counting task is aborted.
pub struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    /// Counts one more, and notes the highest count ever.
    pub fn up(counter: &'a AtomicUsize, most: Option<&AtomicUsize>) -> Self {
        let now = counter.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(most) = most {
            most.fetch_max(now, Ordering::SeqCst);
        }
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
