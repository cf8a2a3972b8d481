//! Looking for work: what a dispatcher reads in a turn.
//!
//! Runs on the main thread of a dispatcher, inside the turn's transaction and before anything is written in it.

use std::fmt::Display;
use std::time::SystemTime;

use super::cancel::Cancelled;
use super::endpoints;
use super::ledger::{Source, Waiting};
use super::settle::Unsent;
use super::turn::{Dispatcher, care};
use crate::domain::backlog::{Admission, Appetite, LaneName, OnDisk, Rest};
use crate::domain::cursor::Scan;
use crate::domain::endpoint;
use crate::domain::request::{self, Request};
use crate::domain::tally::Kind;
use crate::error::Error;
use crate::store::control;
use crate::store::deferred::{Deferral, Until};
use crate::store::fresh;
use crate::store::scan::{self, Body, Queued};
use crate::store::transaction::under_snapshot;

/// Calls read in one scan.
const SCAN: usize = 1024;

impl Dispatcher {
    /// Reads whatever there is a reason to read.
    pub(super) fn look(&mut self, now: SystemTime) -> Result<(), Error> {
        self.wants.extension = false;
        if self.wants.control {
            self.paused = under_snapshot(control::read)?.paused;
            self.wants.control = false;
        }
        if self.wants.endpoints {
            self.read_endpoints(now)?;
            self.wants.endpoints = false;
        }
        self.end_calls_of_dropped(now)?;
        self.recount(now)?;
        if self.wants.jobs {
            self.look_at_reports(now)?;
        }
        if self.wants.scan && self.can_scan() {
            self.scan(now)?;
        }
        if self.timers.next_due.is_some_and(|at| at <= now) && self.backlog.room() > 0 {
            self.admit_due(now)?;
        }
        for (lane, appetite) in self.backlog.hungry(now) {
            self.refill(&lane, appetite, now)?;
        }
        if self.wants.cancellations {
            // A call that is just being taken or put off can be reached once that is written.
            self.wants.cancellations = under_snapshot(|| self.cancel(now))? == Cancelled::AllButMoving;
        }
        if self.wants.callbacks {
            under_snapshot(|| self.runners.find_work())?;
            self.wants.callbacks = false;
        }
        Ok(())
    }

    /// Reads new calls. The sequence is read before the snapshot is taken: the cursor rests on that order.
    fn scan(&mut self, now: SystemTime) -> Result<(), Error> {
        let last = under_snapshot(fresh::last_handed_out)?;
        let ranges = self.cursor.ranges(last);
        let limit = self.backlog.room().min(SCAN);
        let first = ranges.first().map_or(last, |range| range.first);
        let care = care(first, self.recovering_to);
        let found = under_snapshot(|| fresh::calls_in(&ranges, care, limit))?;
        self.know_endpoints(&found.calls, now)?;
        let ids: Vec<i64> = found.calls.iter().map(|queued| queued.id.0).collect();
        let stopped_early = ids.len() >= limit;
        let covered = if stopped_early { ids.last().copied().unwrap_or(last) } else { last };
        self.cursor.observe(&Scan { covered, xmin: found.xmin, next_xid: found.next_xid, seen: &ids });
        self.wants.scan = stopped_early;
        for queued in found.calls {
            self.admit(queued, Source::Queue, now);
        }
        Ok(())
    }

    fn admit_due(&mut self, now: SystemTime) -> Result<(), Error> {
        let limit = self.backlog.room().min(SCAN);
        let found = under_snapshot(|| scan::due(now, self.deferred_in_hand(), limit))?;
        self.know_endpoints(&found, now)?;
        if found.len() < limit {
            self.timers.next_due = under_snapshot(|| scan::next_due(now))?;
        }
        for queued in self.part_accepted(found, now)? {
            self.admit(queued, Source::Deferred, now);
        }
        Ok(())
    }

    /// Reads calls of a lane that had no room in memory, as many of each kind as are wanted. Nothing follows from any of
    /// them before all are read.
    fn refill(&mut self, lane: &LaneName, appetite: Appetite, now: SystemTime) -> Result<(), Error> {
        let most = self.backlog.room() / 2;
        let (first, second) = (appetite.fresh.min(most), appetite.retries.min(most));
        // With none wanted, one more than none tells whether there are any.
        let in_hand = self.deferred_in_hand();
        let read = |kind, limit: usize| under_snapshot(|| scan::parked(lane, kind, in_hand.clone(), limit + 1));
        let mut fresh = read(Kind::Fresh, first)?;
        super::failpoint::hit("between_refills");
        let mut retries = read(Kind::Retry, second)?;
        self.know_endpoints(&fresh, now)?;
        self.know_endpoints(&retries, now)?;
        let more = |found: &[Queued], wanted| if found.len() > wanted { Rest::Some } else { Rest::None };
        let rest = OnDisk { fresh: more(&fresh, first), retries: more(&retries, second) };
        fresh.truncate(first);
        retries.truncate(second);
        let mut calls = Vec::with_capacity(fresh.len() + retries.len());
        for queued in fresh.into_iter().chain(retries) {
            if let Some((_, waiting)) = self.prepare(queued, Source::Parked, now) {
                self.ledger.begins_to_wait(waiting.queued.id, Source::Parked);
                calls.push((waiting.queued.kind(), waiting));
            }
        }
        self.backlog.refill(lane, now, calls, rest);
        Ok(())
    }

    /// The calls whose row in the table of deferred calls says nothing any more: they wait in memory, or what became
    /// of them is about to be written. Reading such a row would send its call twice.
    pub(super) fn deferred_in_hand(&self) -> Vec<i64> {
        let mut ids = self.ledger.deferred_in_memory();
        ids.extend(self.outbox.deferrals.iter().map(|deferral| deferral.call.0));
        ids.extend(&self.outbox.undeferred);
        ids.extend(self.jobs.calls());
        ids
    }

    /// Lets a call wait in memory, or puts it off, or ends it at once.
    fn admit(&mut self, queued: Queued, source: Source, now: SystemTime) {
        // One whose endpoint was dropped in the moment it was queued ends at once, as those that were found before.
        let has_target = queued.endpoint.as_ref().is_none_or(|name| self.endpoints.find(name).is_some());
        if let (Source::Queue, Some(run_at)) = (source, queued.run_at)
            && run_at > now
            && !queued.cancelled
            && has_target
        {
            self.outbox.deferrals.push(queued.deferral(Until::Due(run_at)));
            return;
        }
        let Some((lane, waiting)) = self.prepare(queued, source, now) else { return };
        let id = waiting.queued.id;
        match self.backlog.admit(&lane, waiting.queued.kind(), now, waiting) {
            Admission::Waiting => self.ledger.begins_to_wait(id, source),
            Admission::Spilled(waiting) => {
                self.outbox.deferrals.push(waiting.queued.deferral(Until::Room(lane.to_string())));
            }
        }
    }

    /// Makes a request of a row; ends the call where that cannot be done or is not wanted.
    fn prepare(&mut self, queued: Queued, source: Source, now: SystemTime) -> Option<(LaneName, Waiting)> {
        if queued.cancelled {
            self.end_unsent(queued, source, Unsent::Cancelled, now);
            return None;
        }
        match self.restore(&queued) {
            Ok((lane, request)) => Some((lane, Waiting { queued, request, source })),
            Err(why) => {
                self.end_unsent(queued, source, why, now);
                None
            }
        }
    }

    /// The request that a row means now, and whose lane it waits in.
    fn restore(&mut self, queued: &Queued) -> Result<(LaneName, Request), Unsent> {
        let refused = |error: &dyn Display| Unsent::Refused(error.to_string());
        let body = match &queued.body {
            Body::Inline(body) => Some(body.clone()),
            Body::None | Body::Stored(_) => None,
        };
        let (lane, url) = match &queued.endpoint {
            None => self.targets.find(&queued.url).map_err(|error| refused(&error))?,
            Some(name) => {
                let endpoint = self.endpoints.find(name).ok_or_else(|| endpoints::gone(name))?;
                let url = endpoint::resolve(&endpoint.base, &queued.url).map_err(|error| refused(&error))?;
                (endpoint.name.clone(), url)
            }
        };
        let request = request::restore(&queued.method, url, queued.headers.as_deref(), body);
        Ok((lane, request.map_err(|error| refused(&error))?))
    }
}

impl Queued {
    /// The row of `edge_store.deferred` for this call.
    pub(super) fn deferral(&self, until: Until) -> Deferral {
        Deferral { call: self.id, slot: self.slot, tries: self.tries, interruptions: self.interruptions, until }
    }
}
