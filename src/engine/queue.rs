//! What the main thread has not taken of what it is told. Used on both threads, under the outbox's lock.

use crate::domain::attempt::Report;

use super::message::{Piece, SocketNews};

/// How many news may wait for the engine to run out of work. A busy engine has that many in milliseconds.
pub(super) const BURST: usize = 64;

/// What the main thread has not taken. One lock for all, so that a report is never taken before the pieces of its stream.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) reports: Vec<Report>,
    pub(super) pieces: Vec<Piece>,
    pub(super) sockets: Vec<SocketNews>,
    /// How many times reports and pieces were drained.
    pub(super) drained: u64,
    /// How many times news of websockets were.
    pub(super) sockets_drained: u64,
    /// How many reports and pieces should ring.
    pub(super) news: usize,
}

/// Where the piece of a stream or websocket is, as long as its queue has not been drained.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) drained: u64,
    pub(super) index: usize,
}

/// Moves everything to the end of `into`.
pub(super) fn take<T>(queue: &mut Vec<T>, into: &mut Vec<T>) {
    if into.is_empty() {
        std::mem::swap(queue, into);
    } else {
        into.append(queue);
    }
}

// === impl Queue ===

impl Queue {
    /// Counts something that should ring. Gives whether the burst is full with it.
    pub(super) fn count_news(&mut self) -> bool {
        self.news += 1;
        self.news >= BURST
    }
}
