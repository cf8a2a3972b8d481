//! Opening connections: which, when, and what becomes of one that cannot be opened now.

use std::time::{Duration, Instant, SystemTime};

use super::memory::Sockets;
use super::news::show_obstacle;
use super::planning::Obstacle;
use crate::domain::socket::course::{Chance, Order};
use crate::domain::socket::plan::Plan;
use crate::domain::socket::verdict::Judged;
use crate::error::Error;
use crate::store::transaction::in_subtransaction;
use crate::worker::turn::Dispatcher;

/// Connections that may be on their way at once, so that a database with very many does not fall upon a peer all at once.
const OPENING: usize = 1024;

/// Connections that are prepared in one transaction.
const HANDFUL: usize = 256;

/// How soon one is tried again for which something of our own is in the way.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// And one for which there is something that we are told of when it is gone.
const LONG_PAUSE: Duration = Duration::from_secs(60);

/// A connection that is opened as soon as the transaction has committed.
pub(super) struct Departure {
    pub connection: i64,
    pub plan: Plan,
}

impl Dispatcher {
    /// Prepares connections that are to be opened, secrets included.
    pub(super) fn prepare_openings(&mut self, now: SystemTime, clock: Instant) -> Result<Vec<Departure>, Error> {
        if self.stopping {
            self.sockets.to_open.clear();
        }
        let mut departures = Vec::new();
        // What has been told is read in the next turn, which begins at once.
        if self.has_been_told() {
            return Ok(departures);
        }
        let room = OPENING.saturating_sub(self.sockets.opening.len()).min(HANDFUL);
        for connection in self.sockets.to_open.next(room) {
            let Some(held) = self.sockets.held.get_mut(&connection) else { continue };
            let load = held.outgoing.load();
            if held.course.order(clock, load) != Some(Order::Open) {
                self.sockets.to_open.remove(&connection);
                self.sockets.touched.insert(connection);
                continue;
            }
            if !self.has_place(connection, departures.len()) {
                self.wait_for_place(connection, clock);
                continue;
            }
            // An error of Postgres' costs this one some time, and not all others their turn.
            let planned = in_subtransaction(|| self.plan(connection, now));
            match planned {
                Ok(Ok(plan)) => departures.push(Departure { connection, plan }),
                Ok(Err(Obstacle::Barred(why))) => self.wait_for_endpoint(connection, why, clock),
                Ok(Err(Obstacle::Judged(judged))) => self.could_not_open(connection, judged, clock),
                Err(aborted) => {
                    let why = format!("it cannot be opened now: {}", aborted.message);
                    self.could_not_open(connection, Judged::held_back(why, PAUSE), clock);
                }
            }
        }
        Ok(departures)
    }

    /// Opens what was prepared.
    pub(super) fn depart_sockets(&mut self, departures: Vec<Departure>) {
        for Departure { connection, plan } in departures {
            self.sockets.to_open.remove(&connection);
            let Some(held) = self.sockets.held.get_mut(&connection) else { continue };
            held.course.begun(plan.socket);
            self.sockets.lines.insert(plan.socket, connection);
            self.sockets.opening.insert(plan.socket);
            self.sockets.touched.insert(connection);
            if let Some(engine) = &self.engine {
                engine.open_socket(plan);
            }
        }
    }

    /// One that takes the place of another may be one too many for a while.
    fn has_place(&self, connection: i64, departing: usize) -> bool {
        let most = self.places_by_descriptors();
        let replaces = self.sockets.held.get(&connection).is_some_and(|held| held.course.stands());
        let most = if replaces { most } else { most.min(self.settings.sockets.max_connections) };
        self.sockets.count() + departing < most
    }

    /// What calls leave, who may have as many as there may be of them at once, but never more than half.
    fn places_by_descriptors(&self) -> usize {
        let budget = self.descriptor_budget;
        budget - self.settings.max_in_flight.min(budget / 2)
    }

    fn wait_for_place(&mut self, connection: i64, clock: Instant) {
        let by_setting = self.settings.sockets.max_connections;
        let by_descriptors = self.places_by_descriptors();
        let why = if by_setting <= by_descriptors {
            format!("there are {by_setting} websockets already, as many as pg_edge.ws_max_connections allows")
        } else {
            format!("there are {by_descriptors} websockets already, as many as the process's file descriptors allow")
        };
        self.sockets.crowded.insert(connection);
        self.wait_for_others(connection, why, clock);
    }

    fn wait_for_endpoint(&mut self, connection: i64, why: String, clock: Instant) {
        self.sockets.barred.insert(connection);
        self.wait_for_others(connection, why, clock);
    }

    fn wait_for_others(&mut self, connection: i64, why: String, clock: Instant) {
        let sockets = &mut self.sockets;
        let Some(held) = sockets.held.get_mut(&connection) else { return };
        held.course.waits(clock + LONG_PAUSE);
        show_obstacle(held, Judged::held_back(why, LONG_PAUSE));
        sockets.done_about(connection);
    }

    fn could_not_open(&mut self, connection: i64, judged: Judged, clock: Instant) {
        let chance = Chance { random: fastrand::f64(), max_backoff: self.settings.sockets.max_backoff };
        let sockets = &mut self.sockets;
        let Some(held) = sockets.held.get_mut(&connection) else { return };
        held.course.not_begun(judged.verdict, clock, chance);
        show_obstacle(held, judged);
        sockets.done_about(connection);
    }
}

impl Sockets {
    /// It is not opened now.
    fn done_about(&mut self, connection: i64) {
        self.to_open.remove(&connection);
        self.touched.insert(connection);
        self.pending.states.insert(connection);
    }

    /// Whether connections are to be opened, and may be.
    pub(super) fn may_open(&self) -> bool {
        !self.to_open.is_empty() && self.opening.len() < OPENING
    }
}
