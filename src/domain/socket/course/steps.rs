//! What follows when time passes, and when connections stand and end.

use std::time::Instant;

use super::{Chance, Course, Leaving, Line, Made, Meaning, Order, Renewal, SETTLING, Stand, Wish, replaced};
use crate::domain::socket::backoff::Backoff;
use crate::domain::socket::outgoing::{Load, Rest};
use crate::domain::socket::plan::SocketId;
use crate::domain::socket::verdict::Verdict;

impl Course {
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
