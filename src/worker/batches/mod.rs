//! Calls whose body is a list of items, when the answer says something of the items.
//!
//! Runs on the main thread of a dispatcher. Such a report waits for the turn's transaction, in which the items are read back from
//! the table; its call counts as on the wire until then. What follows is decided by `domain::batch`.

mod ends;
pub mod offspring;

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::domain::attempt::Report;
use crate::domain::batch;
use crate::domain::outcome::Outcome;
use crate::domain::profile::diagnosis::Diagnosis;
use crate::store::scan;
use crate::store::transaction::{in_subtransaction, under_snapshot};
use crate::worker::failpoint;
use crate::worker::ledger::InFlight;
use crate::worker::settle::Grounds;
use crate::worker::turn::{ANSWER_BUDGET, Dispatcher};

/// After so long, a list is looked at again that could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// How often, before its call ends without it. A replay of that reads the list anew.
const MOST_LOOKS: u32 = 60;

/// Answers that say something of a call's items, which are still to be read.
#[derive(Debug, Default)]
pub struct Returned(VecDeque<Waiting>);

#[derive(Debug)]
struct Waiting {
    report: Report,
    /// How often the items could not be read.
    looks: u32,
    look_at: SystemTime,
}

impl Returned {
    /// One more.
    pub fn add(&mut self, report: Report, now: SystemTime) {
        self.0.push_back(Waiting { report, looks: 0, look_at: now });
    }

    /// When the first is to be looked at.
    pub fn next_look(&self) -> Option<SystemTime> {
        self.0.iter().map(|waiting| waiting.look_at).min()
    }
}

/// Whether the items of a call have to be looked at before it is known what becomes of it.
pub(super) fn waits_for_items(entry: &InFlight, outcome: &Outcome) -> bool {
    entry.round.is_some() && batch::concerns_items(outcome)
}

impl Dispatcher {
    /// Decides of the calls whose items have to be looked at, as far as one transaction holds what follows. A list that cannot be read
    /// costs no other call anything: it is looked at again if that may help, and its call ends without it if not.
    pub(super) fn settle_returned(&mut self, now: SystemTime) {
        let mut later = VecDeque::new();
        while self.outbox.bytes() < ANSWER_BUDGET {
            let Some(waiting) = self.returned.0.pop_front() else { break };
            if waiting.look_at > now {
                later.push_back(waiting);
                continue;
            }
            let call = waiting.report.call;
            let Some(slot) = self.ledger.of(call).map(|entry| entry.slot) else { continue };
            let read = in_subtransaction(|| {
                failpoint::hit("before_items_are_read");
                under_snapshot(|| scan::body(call, slot))
            });
            match read {
                Ok(items) => self.settle_of_items(waiting.report, items, now),
                Err(failed) if failed.is_transient() && waiting.looks < MOST_LOOKS => {
                    later.push_back(Waiting { looks: waiting.looks + 1, look_at: now + PAUSE, ..waiting });
                }
                Err(_) => self.settle_of_items(waiting.report, None, now),
            }
        }
        self.returned.0.append(&mut later);
    }

    fn settle_of_items(&mut self, report: Report, items: Option<Bytes>, now: SystemTime) {
        let Some(entry) = self.ledger.returns(report.call) else { return };
        self.count_answer(&entry, &report.outcome, now);
        let policy = self.endpoints.retry(&entry.lane);
        let diagnosis = Diagnosis::of(policy.profile, &report.outcome);
        self.standings.heard(&entry.lane, &report.outcome, &diagnosis, now);
        let sent = items.as_deref();
        let grounds = Grounds { policy, diagnosis: &diagnosis, now, random: fastrand::f64() };
        let settled = ends::settle(report, &entry, sent, grounds, &mut self.outbox);
        self.note_settled(&entry.lane, &settled, now);
    }
}
