//! Looking for work: what a dispatcher reads in a turn, and which calls it chooses to send.
//!
//! Runs on the main thread of a dispatcher, inside the turn's transaction and before anything is written in it.

use std::time::SystemTime;

use super::ledger::{InFlight, Source, Waiting};
use super::settle;
use super::turn::{Dispatcher, care};
use crate::domain::attempt::{Attempt, Limits};
use crate::domain::backlog::{Admission, LaneName, Rest};
use crate::domain::call::CallId;
use crate::domain::cursor::Scan;
use crate::domain::{header, request};
use crate::error::Error;
use crate::store::progress::{Deferral, Lease, Leased, Until};
use crate::store::scan::{self, Body, Queued};
use crate::store::transaction::under_snapshot;
use crate::store::{calls, control};

/// Calls read in one scan.
const SCAN: usize = 1024;

/// Bytes of request bodies put on the wire in one turn.
const BODY_BUDGET: usize = 64 * 1024 * 1024;

/// Calls taken at once while the byte budget lasts.
const HANDFUL: usize = 32;

/// How far cancelling came.
#[derive(PartialEq, Eq)]
enum Cancelled {
    All,
    /// A call among them is about to be sent, or put off.
    AllButMoving,
}

impl Dispatcher {
    /// Reads whatever there is a reason to read.
    pub(super) fn look(&mut self, now: SystemTime) -> Result<(), Error> {
        self.wants.extension = false;
        if self.wants.control {
            self.paused = under_snapshot(control::read)?.paused;
            self.wants.control = false;
        }
        if self.wants.scan && self.can_scan() {
            self.scan(now)?;
        }
        if self.timers.next_due.is_some_and(|at| at <= now) && self.backlog.room() > 0 {
            self.admit_due(now)?;
        }
        for lane in self.backlog.hungry(now) {
            self.refill(&lane, now)?;
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
        let last = under_snapshot(scan::last_handed_out)?;
        let ranges = self.cursor.ranges(last);
        let limit = self.backlog.room().min(SCAN);
        let first = ranges.first().map_or(last, |range| range.first);
        let care = care(first, self.recovering_to);
        let found = under_snapshot(|| scan::calls_in(&ranges, care, limit))?;
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
        if found.len() < limit {
            self.timers.next_due = under_snapshot(|| scan::next_due(now))?;
        }
        for queued in found {
            self.admit(queued, Source::Deferred, now);
        }
        Ok(())
    }

    fn refill(&mut self, lane: &LaneName, now: SystemTime) -> Result<(), Error> {
        let limit = (self.settings.max_concurrency * 2).min(self.backlog.room());
        if limit == 0 {
            return Ok(());
        }
        let found = under_snapshot(|| scan::parked(lane, self.deferred_in_hand(), limit))?;
        let rest = if found.len() < limit { Rest::None } else { Rest::Some };
        let mut calls = Vec::with_capacity(found.len());
        for queued in found {
            if let Some((_, waiting)) = self.prepare(queued, Source::Deferred, now) {
                self.ledger.begins_to_wait(waiting.queued.id, Source::Deferred);
                calls.push(waiting);
            }
        }
        self.backlog.refill(lane, now, calls, rest);
        Ok(())
    }

    /// The calls whose row in the table of deferred calls says nothing any more: they wait in memory, or what became
    /// of them is about to be written. Reading such a row would send its call twice.
    fn deferred_in_hand(&self) -> Vec<i64> {
        let mut ids = self.ledger.deferred_in_memory();
        ids.extend(self.outbox.deferrals.iter().map(|deferral| deferral.call.0));
        ids.extend(&self.outbox.undeferred);
        ids
    }

    /// Lets a call wait in memory, or puts it off, or ends it at once.
    fn admit(&mut self, queued: Queued, source: Source, now: SystemTime) {
        if let (Source::Queue, Some(run_at)) = (source, queued.run_at)
            && run_at > now
            && !queued.cancelled
        {
            self.outbox.deferrals.push(queued.deferral(Until::Due(run_at)));
            return;
        }
        let Some((lane, waiting)) = self.prepare(queued, source, now) else { return };
        let id = waiting.queued.id;
        match self.backlog.admit(&lane, now, waiting) {
            Admission::Waiting => self.ledger.begins_to_wait(id, source),
            Admission::Spilled(waiting) => {
                self.outbox.deferrals.push(waiting.queued.deferral(Until::Room(lane.to_string())));
            }
        }
    }

    /// Makes a request of a row; ends the call where that cannot be done or is not wanted.
    fn prepare(&mut self, queued: Queued, source: Source, now: SystemTime) -> Option<(LaneName, Waiting)> {
        let (id, slot, tries) = (queued.id, queued.slot, queued.tries);
        if queued.cancelled {
            self.end_unsent(&queued, source, now);
            return None;
        }
        let body = match &queued.body {
            Body::Inline(body) => Some(body.clone()),
            Body::None | Body::Stored(_) => None,
        };
        match request::restore(&queued.method, &queued.url, queued.headers.as_deref(), body) {
            Ok(request) => {
                let lane = LaneName::from(request::origin(&request.url));
                Some((lane, Waiting { queued, request, source }))
            }
            Err(error) => {
                settle::refuse(id, slot, tries, &error.to_string(), now, &mut self.outbox);
                settle::note_callback(id, slot, queued.owner, queued.on_complete, &mut self.outbox);
                if source == Source::Deferred {
                    self.outbox.undeferred.push(id.0);
                }
                None
            }
        }
    }

    /// Ends a cancelled call that is not on the wire.
    fn end_unsent(&mut self, queued: &Queued, source: Source, now: SystemTime) {
        settle::cancel(queued.id, queued.slot, queued.tries, now, &mut self.outbox);
        settle::note_callback(queued.id, queued.slot, queued.owner, queued.on_complete, &mut self.outbox);
        self.outbox.settled_cancellations.push(queued.id.0);
        if source == Source::Deferred {
            self.outbox.undeferred.push(queued.id.0);
        }
    }

    /// Does what was asked for in the table of cancellations. One for a call that no scan has seen yet stays
    /// there; the scan will see both.
    fn cancel(&mut self, now: SystemTime) -> Result<Cancelled, Error> {
        let wanted = scan::cancellations()?;
        let is_wanted = |waiting: &Waiting| wanted.contains(&waiting.queued.id.0);
        for waiting in self.backlog.remove(is_wanted) {
            self.ledger.stops_waiting(waiting.queued.id);
            self.end_unsent(&waiting.queued, waiting.source, now);
        }
        let ended = self.outbox.ended();
        for queued in scan::cancelled_deferred()? {
            // One that was about to be put off again must not be: it ends here.
            self.outbox.deferrals.retain(|deferral| deferral.call != queued.id);
            if !ended.contains(&queued.id.0) && !self.ledger.is_in_flight(queued.id) && !self.is_being_taken(queued.id)
            {
                self.end_unsent(&queued, Source::Deferred, now);
            }
        }
        let mut cancelled = Cancelled::All;
        for id in wanted {
            let put_off = self.outbox.deferrals.iter().any(|deferral| deferral.call.0 == id);
            if put_off || self.is_being_taken(CallId(id)) {
                cancelled = Cancelled::AllButMoving;
            } else if self.ledger.is_in_flight(CallId(id)) {
                if let Some(engine) = &self.engine {
                    engine.cancel(CallId(id));
                }
            } else if calls::is_final(id)? {
                self.outbox.settled_cancellations.push(id);
            }
        }
        Ok(cancelled)
    }

    fn is_being_taken(&self, call: CallId) -> bool {
        self.taking.iter().any(|(_, waiting)| waiting.queued.id == call)
    }

    /// Chooses calls to send, and prepares their lease.
    pub(super) fn choose(&mut self, now: SystemTime) -> Result<(), Error> {
        if !self.paused && !self.stopping {
            let mut bytes = 0;
            while bytes < BODY_BUDGET {
                let handful = self.backlog.take(now, HANDFUL);
                if handful.is_empty() {
                    break;
                }
                bytes += handful.iter().map(|(_, waiting)| waiting.stored_bytes()).sum::<usize>();
                self.taking.extend(handful);
            }
        }
        for (_, waiting) in &mut self.taking {
            if waiting.stored_bytes() > 0 && waiting.request.body.is_none() {
                waiting.request.body = under_snapshot(|| scan::body(waiting.queued.id, waiting.queued.slot))?;
            }
        }
        if self.taking.is_empty() {
            return Ok(());
        }
        let taken = |(_, waiting): &(LaneName, Waiting)| Leased {
            call: waiting.queued.id,
            number: waiting.queued.tries + 1,
            interruptions: waiting.queued.interruptions,
        };
        let calls: Vec<Leased> = self.taking.iter().map(taken).collect();
        let deferred = self.taking.iter().filter(|(_, waiting)| waiting.source == Source::Deferred);
        self.outbox.leased_deferred = deferred.map(|(_, waiting)| waiting.queued.id.0).collect();
        let floor = self.floor();
        self.outbox.lease = Some(Lease { batch: self.newest_batch + 1, epoch: self.epoch, floor, calls });
        Ok(())
    }

    /// Below this id, every call is done, deferred or leased once the outbox is written.
    pub(super) fn floor(&self) -> i64 {
        let taken = |id: &i64| self.is_being_taken(CallId(*id));
        let waiting = self.ledger.fresh().find(|id| !taken(id));
        waiting.unwrap_or(i64::MAX).min(self.cursor.floor())
    }

    /// Hands the calls of a lease that has committed to the engine.
    pub(super) fn send(&mut self, lease: Option<&Lease>) {
        let Some(lease) = lease else { return };
        for (lane, waiting) in std::mem::take(&mut self.taking) {
            let Waiting { queued, request, .. } = waiting;
            self.ledger.stops_waiting(queued.id);
            let entry = InFlight {
                lane,
                batch: lease.batch,
                slot: queued.slot,
                owner: queued.owner,
                on_complete: queued.on_complete,
                max_attempts: queued.max_attempts,
                number: queued.tries + 1,
                interruptions: queued.interruptions,
            };
            self.ledger.departs(queued.id, entry);
            let attempt = self.attempt(&queued, request);
            if let Some(engine) = &self.engine {
                engine.send(attempt);
            }
        }
        super::failpoint::hit("after_send");
    }

    fn attempt(&self, queued: &Queued, mut request: request::Request) -> Attempt {
        let made_up;
        let key = match &queued.idempotency_key {
            Some(key) => key.as_str(),
            None => {
                made_up = format!("{}-{}", self.database_id, queued.id);
                made_up.as_str()
            }
        };
        // A user's own header wins, and a key that was checked when it was queued is a valid value.
        if let (false, Ok(key)) =
            (request.headers.contains_key("idempotency-key"), header::value("idempotency-key", key))
        {
            request.headers.insert("idempotency-key", key);
        }
        Attempt {
            call: queued.id,
            number: queued.tries + 1,
            request,
            limits: Limits {
                total: queued.timeout.unwrap_or(self.settings.request_timeout),
                first_byte: self.settings.first_byte_timeout,
                max_response_bytes: self.settings.max_response_bytes,
            },
        }
    }
}

impl Queued {
    /// The row of `edge_store.deferred` for this call.
    pub(super) fn deferral(&self, until: Until) -> Deferral {
        Deferral { call: self.id, slot: self.slot, tries: self.tries, interruptions: self.interruptions, until }
    }
}
