//! The one place through which everything goes that is written of a job's course: take its row, decide, write, in one
//! transaction.
//!
//! Runs on the main thread of a dispatcher.

use std::time::SystemTime;

use super::super::outbox::Outbox;
use super::super::turn::{ANSWER_BUDGET, Dispatcher};
use super::carry_out;
use super::{Cancels, Case, Jobs, LOOK_AGAIN, Open};
use crate::domain::backlog::LaneName;
use crate::domain::call::CallId;
use crate::domain::job::Delivery;
use crate::domain::retry_policy::RetryPolicy;
use crate::domain::tally::CallEnd;
use crate::error::Error;
use crate::store::jobs::deliveries::{self, Acceptance};
use crate::store::jobs::hold::{self, Held};
use crate::store::transaction::under_snapshot;

/// What has been decided, under rows that are held. It is worth nothing once the transaction has failed.
#[derive(Debug, Default)]
pub struct Decided {
    /// What is written of the calls.
    pub rows: Outbox,
    pub accepted: Vec<Acceptance>,
    /// Jobs whose delivery is over.
    pub over: Vec<CallId>,
    /// Jobs that have ended.
    pub ended: Vec<CallId>,
    /// Cases that are closed by it.
    pub closed: Vec<CallId>,
    /// What became of calls whose endpoint has not been told.
    pub ends: Vec<(LaneName, CallEnd)>,
}

impl Decided {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.closed.is_empty()
    }

    /// Writes it in the transaction that holds the rows.
    pub fn write(&self, current_slot: i16) -> Result<(), Error> {
        self.rows.write(current_slot)?;
        for acceptance in &self.accepted {
            deliveries::accept(acceptance)?;
        }
        if !self.over.is_empty() {
            deliveries::end_deliveries(&self.over)?;
        }
        if !self.ended.is_empty() {
            deliveries::forget(&self.ended)?;
        }
        Ok(())
    }
}

impl Jobs {
    /// What is decided in the running transaction.
    pub fn decided(&self) -> &Decided {
        &self.decided
    }

    /// The cases that are to be looked at.
    pub(super) fn to_look_at(&self, now: SystemTime) -> Vec<CallId> {
        self.open.iter().filter(|(_, open)| open.next_look(now) <= now).map(|(call, _)| *call).collect()
    }

    pub(super) fn case(&self, call: CallId) -> Option<&Case> {
        self.open.get(&call).map(|open| &open.case)
    }

    /// Looks at a case at another time.
    pub(super) fn look_at(&mut self, call: CallId, at: SystemTime) {
        if let Some(open) = self.open.get_mut(&call) {
            open.next_look = at;
        }
    }

    /// Nothing is to be decided of a call any more.
    pub(super) fn close(&mut self, call: CallId) {
        self.open.remove(&call);
    }

    /// Something else has become of a case.
    pub(super) fn becomes(&mut self, call: CallId, change: impl FnOnce(Case) -> Case) {
        if let Some(Open { case, next_look }) = self.open.remove(&call) {
            self.open.insert(call, Open { case: change(case), next_look });
        }
    }
}

impl Dispatcher {
    /// Decides of the cases that are to be looked at, as far as their rows can be had.
    pub(in crate::worker) fn decide_jobs(&mut self, now: SystemTime) -> Result<(), Error> {
        self.jobs.decided = Decided::default();
        let calls = self.jobs.to_look_at(now);
        if calls.is_empty() {
            return Ok(());
        }
        self.jobs.decided = self.decide_some(&calls, now)?;
        Ok(())
    }

    /// The same for some of them.
    pub(super) fn decide_some(&mut self, calls: &[CallId], now: SystemTime) -> Result<Decided, Error> {
        let mut held = under_snapshot(|| hold::hold(calls))?;
        super::super::failpoint::hit("job_held");
        let mut decided = Decided::default();
        for call in calls {
            if held.is_locked(*call) {
                self.jobs.look_at(*call, now + LOOK_AGAIN);
            } else if decided.rows.bytes() < ANSWER_BUDGET {
                under_snapshot(|| held.read_result(*call))?;
                self.decide_one(*call, &held, now, &mut decided);
            }
        }
        Ok(decided)
    }

    fn decide_one(&self, call: CallId, held: &Held, now: SystemTime, decided: &mut Decided) {
        let Some(case) = self.jobs.case(call) else { return };
        let lane = lane_of(case);
        let policy = self.endpoints.retry(&lane);
        let max_interruptions = self.settings.max_interruptions;
        let (row, random) = (held.row(call), fastrand::f64());
        let course = Circumstances { row, policy, max_interruptions, lane: &lane, now, random };
        carry_out::carry_out(case, &course, decided);
        decided.closed.push(call);
    }

    /// What was decided is committed: the cases are closed. Gives the rows that were written.
    pub(in crate::worker) fn jobs_are_decided(&mut self) -> Outbox {
        let decided = std::mem::take(&mut self.jobs.decided);
        self.close_cases(decided)
    }

    /// The same for what was decided apart.
    pub(super) fn close_cases(&mut self, decided: Decided) -> Outbox {
        for call in &decided.closed {
            self.jobs.open.remove(call);
        }
        for (lane, end) in &decided.ends {
            self.backlog.closed(lane, *end);
        }
        if !decided.closed.is_empty() && std::mem::take(&mut self.jobs.cancels) == Cancels::Wait {
            self.wants.cancellations = true;
        }
        decided.rows
    }
}

/// Under what a case is decided.
pub(super) struct Circumstances<'a> {
    /// The job's row, where it has one.
    pub row: Option<&'a hold::Row>,
    pub policy: &'a RetryPolicy,
    pub max_interruptions: u32,
    pub lane: &'a LaneName,
    pub now: SystemTime,
    pub random: f64,
}

impl Circumstances<'_> {
    /// The job's latest delivery, if it is not over.
    pub fn delivery(&self) -> Option<&Delivery> {
        self.row?.delivery.as_ref()
    }
}

/// Jobs are calls to named endpoints, whose lanes have their names.
fn lane_of(case: &Case) -> LaneName {
    match case {
        Case::Answered { entry, .. } | Case::Unstorable { entry, .. } => entry.lane.clone(),
        Case::Resting { queued, .. } => LaneName::from(queued.endpoint.as_deref().unwrap_or_default()),
    }
}
