//! Cancelling calls, wherever they are: in memory, put off, or on the wire.
//!
//! Runs on the main thread of a dispatcher, inside the turn's transaction and before anything is written in it.

use std::collections::HashSet;
use std::time::SystemTime;

use super::ledger::{Source, Waiting};
use super::settle::Unsent;
use super::turn::Dispatcher;
use crate::domain::call::CallId;
use crate::error::Error;
use crate::store::calls;
use crate::store::scan;

/// How far cancelling came.
#[derive(PartialEq, Eq)]
pub enum Cancelled {
    All,
    /// A call among them is about to be sent, or put off.
    AllButMoving,
}

impl Dispatcher {
    /// Does what was asked for in the table of cancellations, and what schedules want. What concerns a call that no scan has
    /// seen yet stays; the scan will see both.
    pub(super) fn cancel(&mut self, now: SystemTime) -> Result<Cancelled, Error> {
        let overtaken: Vec<i64> = self.schedules.overtaken.iter().copied().collect();
        let wanted: HashSet<i64> = scan::cancellations()?.into_iter().chain(overtaken.iter().copied()).collect();
        let is_wanted = |waiting: &Waiting| wanted.contains(&waiting.queued.id.0);
        for waiting in self.backlog.remove(is_wanted) {
            self.ledger.stops_waiting(waiting.queued.id);
            self.end_unsent(waiting.queued, waiting.source, Unsent::Cancelled, now);
        }
        let ended = self.outbox.ended();
        for queued in scan::cancelled_deferred(overtaken)? {
            // One that was about to be put off again must not be: it ends here.
            self.outbox.deferrals.retain(|deferral| deferral.call != queued.id);
            if self.jobs.is_open(queued.id) {
                continue;
            }
            if !ended.contains(&queued.id.0) && !self.ledger.is_in_flight(queued.id) && !self.is_being_taken(queued.id)
            {
                self.end_unsent(queued, Source::Deferred, Unsent::Cancelled, now);
            }
        }
        let mut cancelled = Cancelled::All;
        for id in wanted {
            let put_off = self.outbox.deferrals.iter().any(|deferral| deferral.call.0 == id);
            if put_off || self.is_being_taken(CallId(id)) {
                cancelled = Cancelled::AllButMoving;
            } else if self.jobs.is_open(CallId(id)) {
                self.jobs.cancel(CallId(id));
            } else if self.ledger.is_in_flight(CallId(id)) {
                if let Some(engine) = &self.engine {
                    engine.cancel(CallId(id));
                }
                if self.ledger.of(CallId(id)).is_some_and(|entry| entry.terms.is_some()) {
                    self.jobs.cancels_in_flight();
                }
            } else if calls::is_final(id)? {
                self.schedules.overtaken.remove(&id);
                self.outbox.settled_cancellations.push(id);
            }
        }
        Ok(cancelled)
    }

    pub(super) fn is_being_taken(&self, call: CallId) -> bool {
        let chosen = self.chosen.iter().any(|(_, waiting)| waiting.queued.id == call);
        chosen || self.taking.iter().any(|departure| departure.queued.id == call)
    }
}
