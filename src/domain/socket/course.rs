//! The course of one websocket that somebody wants: when it is opened, replaced, closed, and what may be sent meanwhile.
//!
//! There is one connection at a time. Two there are while one takes the place of another: the new one is opened while the old
//! one still receives, so that nothing which a peer says in between is lost.

use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::outgoing::{Load, Rest};
use super::plan::{Farewell, SocketId};
use super::verdict::Verdict;

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

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// A connection is to be opened. Whoever does it says so by [`Course::begun`], or that he cannot by [`Course::not_begun`].
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

// === impl Course ===

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

    /// It is wanted, as before or again.
    pub fn wanted(&mut self, max_age: Option<Duration>) {
        self.max_age = max_age;
        self.wish = Wish::Open;
        match self.line {
            Line::Closed | Line::Failed => self.begin_anew(),
            // It has not been told to close yet, and goes on.
            Line::Parting(stand, _) => self.line = Line::Open(stand),
            _ => {}
        }
    }

    /// It is wanted, but made otherwise. Gives what is to be closed for it.
    pub fn changed(&mut self, max_age: Option<Duration>) -> Vec<Order> {
        let mut orders = Vec::new();
        self.wanted(max_age);
        match &mut self.line {
            Line::Waiting(_) => self.begin_anew(),
            Line::Opening(socket) => {
                orders.push(Order::Close(*socket, replaced()));
                self.line = Line::Closing(*socket);
            }
            Line::Open(stand) => {
                stand.made = Made::Otherwise;
                self.renewals = Backoff::default();
                match self.renewal {
                    Renewal::Opening(socket) => {
                        orders.push(Order::Close(socket, replaced()));
                        self.renewal = Renewal::Cancelled(socket);
                    }
                    Renewal::NotBefore(_) => self.renewal = Renewal::None,
                    _ => {}
                }
            }
            _ => {}
        }
        orders
    }

    /// It is to be closed. What was queued before is sent first, if there is a connection.
    pub fn unwanted(&mut self, farewell: Farewell, now: Instant) -> Vec<Order> {
        let mut orders = Vec::new();
        self.wish = Wish::Closed(farewell.clone());
        match self.line {
            Line::Due | Line::Waiting(_) | Line::Failed => self.line = Line::Closed,
            Line::Opening(socket) => {
                orders.push(Order::Close(socket, farewell.clone()));
                self.line = Line::Closing(socket);
            }
            Line::Open(stand) => self.line = Line::Parting(stand, now + SETTLING),
            Line::Parting(..) | Line::Closing(_) | Line::Closed => {}
        }
        self.renewal = match self.renewal {
            Renewal::Opening(socket) => {
                orders.push(Order::Close(socket, farewell));
                Renewal::Cancelled(socket)
            }
            Renewal::Cancelled(socket) => Renewal::Cancelled(socket),
            _ => Renewal::None,
        };
        orders
    }

    /// What the time, and what there is to be sent, ask for now.
    pub fn order(&mut self, now: Instant, load: Load) -> Option<Order> {
        if let Some(leaving) = &mut self.leaving
            && load.untaken == Rest::None
        {
            leaving.untaken = Rest::None;
        }
        match self.line {
            Line::Waiting(until) if until <= now => {
                self.line = Line::Due;
                self.open_if_alone()
            }
            Line::Due => self.open_if_alone(),
            Line::Parting(stand, until) if until <= now || self.has_said_all(load) => {
                let Wish::Closed(farewell) = &self.wish else { return None };
                self.line = Line::Closing(stand.socket);
                Some(Order::Close(stand.socket, farewell.clone()))
            }
            Line::Open(stand) => self.renew(stand, now, load),
            _ => None,
        }
    }

    /// The connection that was asked for is being opened.
    pub fn begun(&mut self, socket: SocketId) {
        match self.line {
            Line::Due => self.line = Line::Opening(socket),
            _ => self.renewal = Renewal::Opening(socket),
        }
    }

    /// The connection that was asked for could not be opened.
    pub fn not_begun(&mut self, verdict: Verdict, now: Instant, chance: Chance) {
        match self.line {
            Line::Due => self.line = self.after(verdict, now, chance),
            _ => self.put_renewal_off(verdict, now, chance),
        }
    }

    /// The connection that was asked for has to wait for something of our own, which is no failure.
    pub fn waits(&mut self, until: Instant) {
        match self.line {
            Line::Due => self.line = Line::Waiting(until),
            _ => self.renewal = Renewal::NotBefore(until),
        }
    }

    /// This connection stands. Gives the one that it replaces, which is to be closed.
    pub fn opened(&mut self, socket: SocketId, now: Instant, untaken: Rest) -> Option<Order> {
        if self.line == Line::Opening(socket) {
            self.line = Line::Open(Stand { socket, since: now, made: Made::AsWanted });
            return None;
        }
        let (Line::Open(old), true) = (self.line, self.renewal == Renewal::Opening(socket)) else { return None };
        self.backoff.was_open(now.saturating_duration_since(old.since));
        self.renewals = Backoff::default();
        self.renewal = Renewal::None;
        self.leaving = Some(Leaving { socket: old.socket, untaken });
        self.line = Line::Open(Stand { socket, since: now, made: Made::AsWanted });
        Some(Order::Close(old.socket, replaced()))
    }

    /// This connection has ended.
    pub fn over(&mut self, socket: SocketId, verdict: Verdict, now: Instant, chance: Chance) -> Meaning {
        if let Some(leaving) = self.leaving.take_if(|leaving| leaving.socket == socket) {
            return if leaving.untaken == Rest::Some { Meaning::LeftUntaken } else { Meaning::Left };
        }
        match self.renewal {
            Renewal::Cancelled(cancelled) if cancelled == socket => {
                self.renewal = Renewal::None;
                return Meaning::Left;
            }
            Renewal::Opening(opening) if opening == socket => {
                self.put_renewal_off(verdict, now, chance);
                return Meaning::NotRenewed;
            }
            _ => {}
        }
        if self.own_socket() != Some(socket) {
            return Meaning::Left;
        }
        self.line = self.next_line(verdict, now, chance);
        Meaning::Lost
    }

    /// Something that was in the way may be gone: what waits is tried now.
    pub fn try_now(&mut self) {
        match (self.line, self.renewal) {
            (Line::Waiting(_), _) => self.line = Line::Due,
            (Line::Open(_), Renewal::NotBefore(_)) => self.renewal = Renewal::None,
            _ => {}
        }
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

    /// Whether this is the connection over which is sent.
    pub fn is_line(&self, socket: SocketId) -> bool {
        self.own_socket() == Some(socket)
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

    /// Whether it was closed as was wanted, so that nothing more will be sent.
    pub fn is_closed_for_good(&self) -> bool {
        self.line == Line::Closed && self.wish != Wish::Open
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

    fn begin_anew(&mut self) {
        self.backoff = Backoff::default();
        self.line = Line::Due;
    }

    /// Opens the connection that is due, once those before it have ended.
    fn open_if_alone(&self) -> Option<Order> {
        (self.sockets().next().is_none()).then_some(Order::Open)
    }

    fn has_said_all(&self, load: Load) -> bool {
        load.waiting == Rest::None && self.speaks().is_some()
    }

    /// Has a connection replaced that is too old, or was made otherwise.
    fn renew(&mut self, stand: Stand, now: Instant, load: Load) -> Option<Order> {
        match self.renewal {
            Renewal::None if self.is_outdated(stand, now) && self.leaving.is_none() => {
                self.renewal = Renewal::Settling(now + SETTLING);
                self.renew(stand, now, load)
            }
            Renewal::NotBefore(at) if at <= now => {
                self.renewal = Renewal::None;
                self.renew(stand, now, load)
            }
            Renewal::Settling(until) if until <= now || load.untaken == Rest::None => {
                self.renewal = Renewal::Due;
                Some(Order::Open)
            }
            Renewal::Due => Some(Order::Open),
            _ => None,
        }
    }

    fn is_outdated(&self, stand: Stand, now: Instant) -> bool {
        let is_old = self.max_age.is_some_and(|age| now.saturating_duration_since(stand.since) >= age);
        is_old || stand.made == Made::Otherwise
    }

    /// The old connection is kept, whatever was wrong with the new one.
    fn put_renewal_off(&mut self, verdict: Verdict, now: Instant, chance: Chance) {
        let least = match verdict {
            Verdict::Reconnect { least } => least,
            Verdict::Closed | Verdict::Failed => chance.max_backoff,
        };
        self.renewal = Renewal::NotBefore(now + self.renewals.next(chance.random, least, chance.max_backoff));
    }

    /// What becomes of the line when its connection has ended.
    fn next_line(&mut self, verdict: Verdict, now: Instant, chance: Chance) -> Line {
        let (line, renewal) = (self.line, self.renewal);
        if let Line::Open(stand) = line {
            self.backoff.was_open(now.saturating_duration_since(stand.since));
        }
        if !matches!(renewal, Renewal::Cancelled(_)) {
            self.renewal = Renewal::None;
        }
        match (&self.wish, line, renewal) {
            (Wish::Closed(_), _, _) => Line::Closed,
            // The new one takes its place at once.
            (Wish::Open, Line::Open(_), Renewal::Opening(socket)) => Line::Opening(socket),
            // It was closed for another to be opened, or that other has not been tried yet.
            (Wish::Open, Line::Closing(_), _) | (Wish::Open, Line::Open(Stand { made: Made::Otherwise, .. }), _) => {
                Line::Due
            }
            (Wish::Open, _, _) => self.after(verdict, now, chance),
        }
    }

    fn after(&mut self, verdict: Verdict, now: Instant, chance: Chance) -> Line {
        match verdict {
            Verdict::Reconnect { least } => {
                Line::Waiting(now + self.backoff.next(chance.random, least, chance.max_backoff))
            }
            Verdict::Closed => Line::Closed,
            Verdict::Failed => Line::Failed,
        }
    }
}

// === impl State ===

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

/// What a connection is told that another one takes the place of.
fn replaced() -> Farewell {
    Farewell { code: 1000, reason: String::new() }
}
