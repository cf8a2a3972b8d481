//! What the course of a websocket tells: what is to be done, how it is, and what the end of a connection means. And what it is told
//! to measure waits with.

use std::time::Duration;

use crate::domain::socket::plan::{Farewell, SocketId};

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// A connection is to be opened. Whoever does it says so by [`begun`](super::Course::begun), or that he cannot by [`not_begun`](super::Course::not_begun).
    Open,
    /// This one is to be closed.
    Close(SocketId, Farewell),
}

/// How it is, as users see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is being opened.
    Connecting,
    /// It stands.
    Open,
    /// It is opened again later.
    Waiting,
    /// It is being closed.
    Closing,
    /// It is closed, as was wanted or in good order by the peer.
    Closed,
    /// It is given up.
    Failed,
}

/// What became of a connection that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It was the one over which is sent.
    Lost,
    /// It was to replace the one that still stands.
    NotRenewed,
    /// It had been replaced, or was not wanted any more.
    Left,
    /// It had been replaced, and not all that it was sent was taken: that is to be sent over the new one.
    LeftUntaken,
}

/// With what a wait is measured.
#[derive(Clone, Copy, Debug)]
pub struct Chance {
    /// From 0 to 1.
    pub random: f64,
    /// The longest wait of our own.
    pub max_backoff: Duration,
}

impl State {
    /// The state's name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Open => "open",
            Self::Waiting => "waiting",
            Self::Closing => "closing",
            Self::Closed => "closed",
            Self::Failed => "failed",
        }
    }
}
