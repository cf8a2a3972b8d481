//! How cases come about: reports of the engine, reports of functions, leases that are due, and calls that are to end.
//!
//! Runs on the main thread of a dispatcher. A job is in one place at a time: new, put off, waiting in memory, being taken, on
//! the wire, or a case.

use std::collections::HashSet;
use std::time::SystemTime;

use super::{Case, Why};
use crate::domain::attempt::Report;
use crate::domain::call::CallId;
use crate::domain::job::Terms;
use crate::domain::profile::diagnosis::Diagnosis;
use crate::domain::tally::{CallEnd, Ended};
use crate::error::Error;
use crate::store::jobs::deliveries;
use crate::store::scan::Queued;
use crate::store::transaction::under_snapshot;
use crate::worker::ledger::{InFlight, Source, Waiting};
use crate::worker::settle::{self, Settled, Unsent};
use crate::worker::turn::Dispatcher;

/// Reports of functions that are taken up in one turn.
const HANDFUL: usize = 512;

impl Dispatcher {
    /// A delivery is back from the wire. What it means for its endpoint is known; what for the job, is decided later.
    pub(in crate::worker) fn delivery_returns(
        &mut self,
        report: Report,
        entry: InFlight,
        terms: Terms,
        now: SystemTime,
    ) {
        let policy = self.endpoints.retry(&entry.lane);
        let diagnosis = Diagnosis::of(policy.profile, &report.outcome);
        self.standings.heard(&entry.lane, &report.outcome, &diagnosis, now);
        let bearing = settle::bearing(&report, &entry, policy, &diagnosis, now);
        let ended = Ended { kind: entry.kind, reach: bearing.reach, health: bearing.health, call: CallEnd::Open };
        self.note_settled(&entry.lane, &Settled { ended, parks_endpoint: bearing.parks_endpoint }, now);
        let call = report.call;
        self.jobs.open(call, Case::Answered { terms, report: Box::new(report), entry: Box::new(entry) }, now);
    }

    /// Ends a call that is not on the wire. A job may have been reported on, so of it that is decided later.
    pub(in crate::worker) fn end_unsent(&mut self, queued: Queued, source: Source, why: Unsent, now: SystemTime) {
        if queued.terms.is_none() {
            return settle::end_unsent(&queued, source, why, now, &mut self.outbox);
        }
        self.open_resting(queued, source, Why::Ends(why), now);
    }

    pub(super) fn open_resting(&mut self, queued: Queued, source: Source, why: Why, now: SystemTime) {
        self.jobs.open(queued.id, Case::Resting { queued: Box::new(queued), source, why }, now);
    }

    /// Takes up what functions have reported, wherever their jobs are. Of one that is on the wire that is done when it is back.
    pub(in crate::worker) fn look_at_reports(&mut self, now: SystemTime) -> Result<(), Error> {
        let said: HashSet<i64> = under_snapshot(deliveries::said)?.into_iter().collect();
        let mut unreached = false;
        let is_said = |waiting: &Waiting| said.contains(&waiting.queued.id.0);
        for Waiting { queued, source, .. } in self.backlog.remove(is_said) {
            self.ledger.stops_waiting(queued.id);
            self.open_resting(queued, source, Why::Said, now);
        }
        let mut resting = Vec::new();
        for call in said.into_iter().map(CallId) {
            if self.ledger.is_in_flight(call) || self.jobs.is_open(call) {
                continue;
            }
            // It is about to be sent or put off, and can be reached once that is written; or it is one too many for a turn.
            if self.is_moving(call) || resting.len() >= HANDFUL {
                unreached = true;
            } else {
                resting.push(call.0);
            }
        }
        if !resting.is_empty() {
            self.take_up(resting, now)?;
        }
        // Last: a report that could not be taken up is told of by nobody again.
        self.wants.jobs = unreached;
        Ok(())
    }

    /// Takes up the reports on these jobs, of which memory knows nothing.
    fn take_up(&mut self, mut calls: Vec<i64>, now: SystemTime) -> Result<(), Error> {
        crate::worker::failpoint::hit("job_reports_found");
        for queued in under_snapshot(|| deliveries::put_off(calls.clone()))? {
            self.open_resting(queued, Source::Deferred, Why::Said, now);
        }
        // A copy of a database ends the jobs of its original, also those that a session of the copy is reporting on.
        calls.retain(|call| !self.jobs.is_open(CallId(*call)));
        if calls.is_empty() { Ok(()) } else { under_snapshot(|| deliveries::forget_ended(calls)) }
    }

    /// Of calls whose time has come, takes out the jobs that are with a function: their leases may have run out.
    pub(in crate::worker) fn part_accepted(&mut self, due: Vec<Queued>, now: SystemTime) -> Result<Vec<Queued>, Error> {
        let jobs: Vec<i64> = due.iter().filter(|queued| queued.terms.is_some()).map(|queued| queued.id.0).collect();
        if jobs.is_empty() {
            return Ok(due);
        }
        let accepted: HashSet<i64> = under_snapshot(|| deliveries::accepted(jobs))?.into_iter().collect();
        let (leased, others): (Vec<_>, Vec<_>) = due.into_iter().partition(|queued| accepted.contains(&queued.id.0));
        for queued in leased {
            let why = if queued.cancelled { Why::Ends(Unsent::Cancelled) } else { Why::Due };
            self.open_resting(queued, Source::Deferred, why, now);
        }
        Ok(others)
    }

    /// Whether a call is about to be sent, or put off.
    fn is_moving(&self, call: CallId) -> bool {
        self.is_being_taken(call) || self.outbox.deferrals.iter().any(|deferral| deferral.call == call)
    }
}
