//! Calls whose body is a list of items, when the answer says something of the items.
//!
//! Runs on the main thread of a dispatcher. Such a report waits for the turn's transaction, in which the items are read back from
//! the table; its call counts as on the wire until then. What follows is decided by `domain::batch`.

mod ends;
pub mod offspring;

use std::time::SystemTime;

use bytes::Bytes;

use crate::domain::attempt::Report;
use crate::domain::batch;
use crate::domain::profile::said::Said;
use crate::error::Error;
use crate::store::owner;
use crate::store::scan;
use crate::store::transaction::{Aborted, Durability, attempt, under_snapshot};
use crate::worker::settle::Grounds;
use crate::worker::turn::Dispatcher;

impl Dispatcher {
    /// Whether the items of a call have to be looked at before it is known what becomes of it.
    pub(super) fn waits_for_items(&mut self, report: &Report) -> bool {
        let has_items = self.ledger.of(report.call).is_some_and(|entry| entry.round.is_some());
        has_items && batch::concerns_items(&report.outcome)
    }

    /// Decides of the calls whose items have to be looked at. One whose items cannot be read now stays for the next turn.
    pub(super) fn settle_returned(&mut self, now: SystemTime) -> Result<(), Error> {
        while let Some(report) = self.returned.front() {
            let call = report.call;
            let slot = self.ledger.of(call).map(|entry| entry.slot);
            let items = match slot {
                Some(slot) => under_snapshot(|| scan::body(call, slot))?,
                None => None,
            };
            self.settle_first_returned(items, now);
        }
        Ok(())
    }

    /// A turn's transaction has failed, and it may have been for the items of one call: each is read by itself. What can never be
    /// read costs its own call the items, and no other call anything.
    pub(super) fn rescue_returned(&mut self, now: SystemTime) {
        for _ in 0..self.returned.len() {
            let Some(report) = self.returned.front() else { return };
            let call = report.call;
            let Some(slot) = self.ledger.of(call).map(|entry| entry.slot) else {
                self.returned.pop_front();
                continue;
            };
            let read: Result<_, Aborted> = attempt(|| {
                owner::step_down()?;
                Ok((under_snapshot(|| scan::body(call, slot))?, Durability::Relaxed))
            });
            match read {
                Ok(items) => self.settle_first_returned(items, now),
                Err(failed) if failed.is_transient() => self.returned.rotate_left(1),
                Err(_) => self.settle_first_returned(None, now),
            }
        }
    }

    fn settle_first_returned(&mut self, items: Option<Bytes>, now: SystemTime) {
        let Some(report) = self.returned.pop_front() else { return };
        let Some(entry) = self.ledger.returns(report.call) else { return };
        self.count_answer(&entry, &report.outcome, now);
        let policy = self.endpoints.retry(&entry.lane);
        let said = Said::of(policy.profile, &report.outcome);
        self.standings.heard(&entry.lane, &report.outcome, &said, now);
        let sent = items.as_deref();
        let grounds = Grounds { policy, said: &said, now, random: fastrand::f64() };
        let settled = ends::settle(report, &entry, sent, grounds, &mut self.outbox);
        self.note_settled(&entry.lane, &settled, now);
    }
}
