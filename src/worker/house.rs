//! Keeping house between turns: the ring of slots, old idempotency keys, and the gauges.
//!
//! Runs on the main thread of a dispatcher, each chore in a short transaction of its own.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use super::latch;
use super::lock::{self, Hold};
use super::report;
use super::stats;
use super::turn::Dispatcher;
use crate::store::collected;
use crate::store::jobs::deliveries;
use crate::store::owner;
use crate::store::retention::{self, Advance};
use crate::store::schedules::history;
use crate::store::transaction::{Aborted, Durability, attempt, under_snapshot};

/// How soon a slot that somebody reads is tried again, at most.
const PINNED_RETRY: Duration = Duration::from_secs(60);

/// Runs of schedules that are gone through at once, and how soon the next of them are.
const RUNS_FORGOTTEN: usize = 1000;
const BETWEEN_HANDFULS: Duration = Duration::from_millis(20);

/// However short runs are kept, they are not looked through more often.
const SHORTEST_HISTORY_PAUSE: Duration = Duration::from_secs(5);

/// However short responses are kept, they are not looked through more often.
const SHORTEST_EXPIRY_PAUSE: Duration = Duration::from_secs(1);

impl Dispatcher {
    /// Does the chores that are due. One that fails waits for its next time; it never stops the turn.
    pub(super) fn keep_house(&mut self, now: SystemTime) {
        if now >= self.timers.next_advance && self.outbox.is_empty() && self.taking.is_empty() && self.chosen.is_empty()
        {
            self.advance_ring(now);
            note(self.forget_closed_sockets(now));
        }
        if now >= self.timers.next_key_sweep {
            let window = self.settings.idempotency_window;
            self.timers.next_key_sweep = now + (window / 24).clamp(Duration::from_secs(60), Duration::from_secs(3600));
            let horizon = now.checked_sub(window).unwrap_or(SystemTime::UNIX_EPOCH);
            note(in_place(|| {
                retention::forget_keys(horizon)?;
                deliveries::forget_refused()
            }));
        }
        if now >= self.timers.next_history {
            note(self.forget_runs(now));
        }
        if now >= self.timers.next_expiry {
            note(self.expire_responses(now));
        }
    }

    /// Forgets runs of schedules that have been kept long enough, a handful at a time.
    fn forget_runs(&mut self, now: SystemTime) -> Result<(), Aborted> {
        let kept = self.settings.schedule_history;
        self.timers.next_history = now + (kept / 24).clamp(SHORTEST_HISTORY_PAUSE, Duration::from_secs(3600));
        let horizon = now.checked_sub(kept).unwrap_or(SystemTime::UNIX_EPOCH);
        let from = self.history_to.take();
        self.history_to = in_place(|| history::forget(horizon, from, RUNS_FORGOTTEN))?.flatten();
        if self.history_to.is_some() {
            self.timers.next_history = now + BETWEEN_HANDFULS;
        }
        Ok(())
    }

    /// Has the collector forget responses of pg_edge_net: a user's trigger on them may run then, and none runs in here.
    fn expire_responses(&mut self, now: SystemTime) -> Result<(), Aborted> {
        let ttl = self.settings.net_ttl;
        self.timers.next_expiry = now + (ttl / 24).clamp(SHORTEST_EXPIRY_PAUSE, Duration::from_secs(3600));
        // Only whether the extension is there: a user who locks its tables must not have the dispatcher wait.
        if in_place(collected::is_there)? == Some(true) {
            self.runners.want_collector();
            self.runners.look_after(now);
        }
        Ok(())
    }

    /// Truncates the oldest slot and begins to fill it.
    fn advance_ring(&mut self, now: SystemTime) {
        let (from, to) = (self.ring.oldest(), self.ring.current);
        let step = Advance {
            ring: self.ring,
            retention: self.settings.retention,
            now,
            in_memory: self.ledger.all().into_iter().chain(self.jobs.calls()).collect(),
            floor: self.floor(),
        };
        let counted = in_place(|| retention::count_runs(step.ring));
        let ring = counted.and_then(|_| {
            in_place(|| {
                retention::advance(&step)?;
                retention::ring()
            })
        });
        match ring {
            Ok(Some(ring)) => {
                self.ledger.move_slot(from, to);
                self.sockets.move_slot(from, to);
                self.jobs.move_slot(from, to);
                self.backlog.for_each_waiting(|waiting| {
                    if waiting.queued.slot == from {
                        waiting.queued.slot = to;
                    }
                });
                self.ring = ring;
                self.timers.next_advance = ring.due_at(self.settings.retention);
            }
            // Somebody reads the slot, or changes the extension: rows are kept a little longer.
            Ok(None) | Err(_) => {
                self.timers.next_advance = now + PINNED_RETRY.min(self.settings.retention / 70);
            }
        }
    }

    /// Whether nothing waits, runs or is to be written.
    pub(super) fn is_idle(&self) -> bool {
        self.ledger.in_flight() == 0 && self.backlog.waiting() == 0 && self.outbox.is_empty() && self.jobs.is_empty()
    }

    /// Whether the engine's thread still runs.
    pub(super) fn engine_lives(&self) -> bool {
        self.engine.as_ref().is_some_and(crate::engine::Engine::is_alive)
    }

    /// Brings the gauges up to date, and the statistics of the endpoints at which something happened.
    pub(super) fn show_gauges(&mut self, now: SystemTime) {
        for status in self.backlog.take_news(now) {
            stats::note(latch::my_database(), &status, now);
        }
        self.standings.show(latch::my_database());
        let gauges = &self.entry.gauges;
        gauges.in_flight.store(u32::try_from(self.ledger.in_flight()).unwrap_or(u32::MAX), Ordering::Relaxed);
    }
}

/// A chore that failed is said in the log.
fn note<R>(done: Result<R, Aborted>) {
    if let Err(aborted) = done {
        report::log(&format!("dispatcher, keeping house: {aborted}"));
    }
}

/// Runs a chore in a transaction, if the extension is there and nobody changes it.
pub(super) fn in_place<R>(chore: impl FnOnce() -> Result<R, crate::error::Error>) -> Result<Option<R>, Aborted> {
    attempt(AssertUnwindSafe(|| match lock::hold_extension() {
        Hold::Held(_) => {
            owner::step_down()?;
            Ok((Some(under_snapshot(chore)?), Durability::Full))
        }
        Hold::BeingChanged | Hold::Gone => Ok((None, Durability::Relaxed)),
    }))
}
