//! The course of one websocket that somebody wants: when it is opened, replaced, closed, and what may be sent meanwhile.
//!
//! There is one connection at a time. Two there are while one takes the place of another: the new one is opened while the old
//! one still receives, so that nothing which a peer says in between is lost.

mod steps;
mod told;
mod wishes;

use std::time::{Duration, Instant};

pub use self::told::{Chance, Meaning, Order, State};
use crate::domain::socket::backoff::Backoff;
use crate::domain::socket::outgoing::Rest;
use crate::domain::socket::plan::{Farewell, SocketId};

/// How long a connection that is to be replaced or closed may take to have its messages taken.
const SETTLING: Duration = Duration::from_secs(5);

/// The course of one websocket.
#[derive(Clone, Debug)]
pub struct Course {
    wish: Wish,
    line: Line,
    renewal: Renewal,
    /// One that was replaced and has not ended yet.
    leaving: Option<Leaving>,
    backoff: Backoff,
    /// For replacements: that they fail says nothing of the connection that stands.
    renewals: Backoff,
    max_age: Option<Duration>,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wish {
    Open,
    Closed(Farewell),
}

/// The connection over which is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// It is to be opened now.
    Due,
    Opening(SocketId),
    Open(Stand),
    /// It is to be closed, once what was queued is sent or the time is up.
    Parting(Stand, Instant),
    /// It was told to close.
    Closing(SocketId),
    /// It is to be opened then.
    Waiting(Instant),
    Closed,
    Failed,
}

/// A connection that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stand {
    socket: SocketId,
    since: Instant,
    made: Made,
}

/// Whether a connection was made as it is wanted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    AsWanted,
    /// Where or how to connect has been changed since.
    Otherwise,
}

/// How far a connection that stands is with being replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Renewal {
    None,
    /// It went wrong; not before this is it tried again.
    NotBefore(Instant),
    /// Nothing more is sent until all is taken, or the time is up.
    Settling(Instant),
    /// The new one is to be opened now.
    Due,
    Opening(SocketId),
    /// The new one is not wanted any more, and was told to close.
    Cancelled(SocketId),
}

/// A connection that was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Leaving {
    socket: SocketId,
    /// Whether it has messages that may still be taken. Others must not overtake these.
    untaken: Rest,
}

impl Course {
    /// One that is to be opened.
    pub fn new(max_age: Option<Duration>) -> Self {
        Self::at(Line::Due, Wish::Open, max_age)
    }

    /// One that had come to its end under a former dispatcher, and stays there.
    pub fn ended(state: State, max_age: Option<Duration>) -> Self {
        let line = if state == State::Failed { Line::Failed } else { Line::Closed };
        Self::at(line, Wish::Open, max_age)
    }

    fn at(line: Line, wish: Wish, max_age: Option<Duration>) -> Self {
        let (backoff, renewals) = (Backoff::default(), Backoff::default());
        Self { wish, line, renewal: Renewal::None, leaving: None, backoff, renewals, max_age }
    }

    /// Over which connection messages may be sent now.
    pub fn speaks(&self) -> Option<SocketId> {
        if self.leaving.is_some_and(|leaving| leaving.untaken == Rest::Some) {
            return None;
        }
        match (self.line, self.renewal) {
            (Line::Open(stand), Renewal::None | Renewal::NotBefore(_) | Renewal::Cancelled(_)) => Some(stand.socket),
            (Line::Parting(stand, _), _) => Some(stand.socket),
            _ => None,
        }
    }

    /// When [`Course::order`] is to be asked again, if nothing happens before.
    pub fn wakes_at(&self) -> Option<Instant> {
        match (self.line, self.renewal) {
            (Line::Waiting(until) | Line::Parting(_, until), _) => Some(until),
            (Line::Open(_), Renewal::Settling(until) | Renewal::NotBefore(until)) => Some(until),
            // Where one is leaving, its end comes first.
            (Line::Open(stand), Renewal::None) if self.leaving.is_none() => Some(stand.since + self.max_age?),
            _ => None,
        }
    }

    /// When the next try is.
    pub fn next_try(&self) -> Option<Instant> {
        if let Line::Waiting(until) = self.line { Some(until) } else { None }
    }

    /// How it is, as users see it.
    pub fn state(&self) -> State {
        match (self.line, &self.wish) {
            (Line::Due | Line::Opening(_), _) | (Line::Closing(_), Wish::Open) => State::Connecting,
            (Line::Open(_), _) => State::Open,
            (Line::Parting(..) | Line::Closing(_), _) => State::Closing,
            (Line::Waiting(_), _) => State::Waiting,
            (Line::Closed, _) => State::Closed,
            (Line::Failed, _) => State::Failed,
        }
    }

    /// Whether this is the connection over which is sent.
    pub fn is_line(&self, socket: SocketId) -> bool {
        self.own_socket() == Some(socket)
    }

    /// Whether it was closed as was wanted, so that nothing more will be sent.
    pub fn is_closed_for_good(&self) -> bool {
        self.line == Line::Closed && self.wish != Wish::Open
    }

    /// Whether it waits to be tried again, or to be replaced.
    pub fn is_put_off(&self) -> bool {
        matches!((self.line, self.renewal), (Line::Waiting(_), _) | (Line::Open(_), Renewal::NotBefore(_)))
    }

    /// Whether a connection stands over which messages go, now or in a moment.
    pub fn stands(&self) -> bool {
        matches!(self.line, Line::Open(_) | Line::Parting(..))
    }

    /// The connections that there are or may be.
    pub fn sockets(&self) -> impl Iterator<Item = SocketId> {
        let next = match self.renewal {
            Renewal::Opening(socket) | Renewal::Cancelled(socket) => Some(socket),
            _ => None,
        };
        self.own_socket().into_iter().chain(next).chain(self.leaving.map(|leaving| leaving.socket))
    }

    fn own_socket(&self) -> Option<SocketId> {
        match self.line {
            Line::Opening(socket) | Line::Closing(socket) => Some(socket),
            Line::Open(stand) | Line::Parting(stand, _) => Some(stand.socket),
            Line::Due | Line::Waiting(_) | Line::Closed | Line::Failed => None,
        }
    }
}

/// What a connection is told that another one takes the place of.
fn replaced() -> Farewell {
    Farewell { code: 1000, reason: String::new() }
}
