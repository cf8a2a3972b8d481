//! What the engine says of websockets, and what is to be done about each of them.

use std::time::{Instant, SystemTime};

use super::held::Held;
use super::write::Landing;
use crate::domain::cursor::IdRange;
use crate::domain::socket::course::{Chance, Meaning, Order};
use crate::domain::socket::end::End;
use crate::domain::socket::message::Received;
use crate::domain::socket::outgoing::Mark;
use crate::domain::socket::plan::SocketId;
use crate::domain::socket::verdict::{AT_ONCE, Judged, judge};
use crate::engine::{Receipt, SocketEvent, SocketNews};
use crate::store::sockets::outcomes::{Fate, Outcome};
use crate::worker::turn::Dispatcher;

/// Why a message that is still to be sent never will be.
pub(super) const CLOSED: &str = "the connection was closed before this was sent";

impl Dispatcher {
    /// Takes in what the engine has said.
    pub(super) fn take_socket_news(&mut self, now: SystemTime, clock: Instant) {
        for SocketNews { socket, event } in std::mem::take(&mut self.sockets.news) {
            let Some(connection) = self.sockets.lines.get(&socket).copied() else { continue };
            match event {
                SocketEvent::Opened { subprotocol } => self.socket_opened(socket, connection, subprotocol, now, clock),
                SocketEvent::Received { messages, receipt } => self.socket_received(connection, messages, receipt),
                SocketEvent::Taken(count) => self.socket_took(connection, count),
                SocketEvent::Ended(end) => self.socket_ended(socket, connection, &end, now, clock),
            }
            self.sockets.touched.insert(connection);
        }
    }

    fn socket_opened(
        &mut self,
        socket: SocketId,
        connection: i64,
        subprotocol: Option<String>,
        now: SystemTime,
        clock: Instant,
    ) {
        self.sockets.opening.remove(&socket);
        let Some(held) = self.sockets.held.get_mut(&connection) else { return };
        let untaken = held.outgoing.load().untaken;
        let order = held.course.opened(socket, clock, untaken);
        if held.course.is_line(socket) {
            held.show_open(subprotocol, now);
            self.sockets.pending.states.insert(connection);
        }
        self.obey(connection, order);
    }

    fn socket_received(&mut self, connection: i64, messages: Vec<Received>, receipt: Receipt) {
        self.sockets.pending.landings.push_back(Landing { connection, messages, receipt: Some(receipt) });
    }

    fn socket_took(&mut self, connection: i64, count: usize) {
        let Some(held) = self.sockets.held.get_mut(&connection) else { return };
        let sent = held.outgoing.taken(count);
        held.counts.sent += sent.len() as i64;
        let outcome = |mark: &Mark| Outcome { message: mark.id, slot: mark.slot, fate: Fate::Sent };
        self.sockets.pending.outcomes.extend(sent.iter().map(outcome));
        self.sockets.pending.states.insert(connection);
    }

    fn socket_ended(&mut self, socket: SocketId, connection: i64, end: &End, now: SystemTime, clock: Instant) {
        self.sockets.lines.remove(&socket);
        self.sockets.opening.remove(&socket);
        self.sockets.admit_one();
        let max_backoff = self.settings.sockets.max_backoff;
        let Some(held) = self.sockets.held.get_mut(&connection) else { return };
        let mut judged = judge(end, max_backoff, now);
        if self.stopping {
            // The next dispatcher opens it again.
            judged = Judged { verdict: AT_ONCE, error: None, ..judged };
        } else if let (End::ClosedByUs, Some((code, reason))) = (end, &held.wish.farewell) {
            judged.close_code = code.and_then(|code| u16::try_from(code).ok());
            judged.close_reason = reason.clone().filter(|reason| !reason.is_empty());
        }
        let chance = Chance { random: fastrand::f64(), max_backoff };
        match held.course.over(socket, judged.verdict, clock, chance) {
            Meaning::Lost => {
                held.outgoing.lost();
                held.show_end(judged);
            }
            Meaning::NotRenewed => held.show_trouble(judged),
            Meaning::LeftUntaken => held.outgoing.lost(),
            Meaning::Left => return,
        }
        self.sockets.pending.states.insert(connection);
    }

    /// Does what follows for those to which something has happened.
    pub(super) fn decide_about_sockets(&mut self, clock: Instant) {
        while let Some(connection) = self.sockets.touched.pop_first() {
            while let Some(held) = self.sockets.held.get_mut(&connection) {
                let before = held.course.state();
                let load = held.outgoing.load();
                let order = held.course.order(clock, load);
                let wants_to_open = order == Some(Order::Open);
                if held.course.state() != before {
                    self.sockets.pending.states.insert(connection);
                }
                if wants_to_open && !self.stopping {
                    self.sockets.ask_to_open(connection);
                }
                if order.is_none() || wants_to_open {
                    break;
                }
                self.obey(connection, order);
            }
            self.speak(connection);
            self.give_up_if_closed(connection);
            self.sockets.schedule(connection);
        }
    }

    /// Closes what is to be closed.
    pub(super) fn obey(&mut self, connection: i64, orders: impl IntoIterator<Item = Order>) {
        for order in orders {
            match order {
                Order::Open => self.sockets.ask_to_open(connection),
                Order::Close(socket, farewell) => {
                    if let Some(engine) = &self.engine {
                        engine.close_socket(socket, farewell);
                    }
                }
            }
        }
    }

    /// Hands over what waits, and has more read where there is room for it.
    fn speak(&mut self, connection: i64) {
        let Some(held) = self.sockets.held.get_mut(&connection) else { return };
        let Some(socket) = held.course.speaks() else { return };
        if let (true, Some(engine)) = (held.outgoing.has_waiting(), &self.engine) {
            engine.say(socket, held.outgoing.hand_over());
        }
        if held.outgoing.appetite().is_some() {
            self.sockets.hungry.insert(connection);
        }
    }

    fn give_up_if_closed(&mut self, connection: i64) {
        let Some(held) = self.sockets.held.get_mut(&connection) else { return };
        if !held.course.is_closed_for_good() {
            return;
        }
        if let Some(from) = held.outgoing.give_up() {
            // What is queued from now on is for the next connection, should there be one.
            let first = held.gives_up.map_or(from, |before| before.first.min(from));
            held.gives_up = Some(IdRange { first, last: self.sockets.cursor.covered().max(first) });
            self.sockets.giving_up.insert(connection);
        }
    }
}

/// What is said of one that could not even be tried.
pub(super) fn show_obstacle(held: &mut Held, judged: Judged) {
    if held.course.stands() { held.show_trouble(judged) } else { held.show_end(judged) }
}
