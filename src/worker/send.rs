//! Choosing calls to send, leasing them, and handing them to the engine once the lease has committed.
//!
//! Runs on the main thread of a dispatcher.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use super::jobs::Handover;
use super::ledger::{InFlight, Source, Stream, Waiting};
use super::settle::Unsent;
use super::signals;
use super::turn::Dispatcher;
use super::wake::reason;
use crate::domain::attempt::Attempt;
use crate::domain::backlog::LaneName;
use crate::error::Error;
use crate::store::deferred::Until;
use crate::store::leases::{Lease, Leased};
use crate::store::scan::{self, Queued};
use crate::store::transaction::under_snapshot;

/// Bytes of request bodies put on the wire in one turn.
const BODY_BUDGET: usize = 64 * 1024 * 1024;

/// Calls taken at once while the byte budget lasts.
const HANDFUL: usize = 32;

/// A call that goes on the wire as soon as its lease has committed.
#[derive(Debug)]
pub struct Departure {
    pub lane: LaneName,
    pub queued: Queued,
    pub source: Source,
    pub attempt: Attempt,
    /// Of a job.
    pub handover: Option<Handover>,
}

/// Why a call that was taken does not go out.
pub enum KeptBack {
    /// It ends.
    ForGood(Unsent),
    /// Something is in the way that will pass: it is tried again so much later. It costs no attempt.
    ForNow(Duration),
    /// What became of its last delivery is to be found out first.
    Unsettled,
}

/// How soon a call is tried again that something was in the way of.
pub(super) const PAUSE_OF_ONE: Duration = Duration::from_secs(1);

impl From<Unsent> for KeptBack {
    fn from(why: Unsent) -> Self {
        Self::ForGood(why)
    }
}

impl Dispatcher {
    /// Chooses calls to send, and prepares their lease.
    pub(super) fn choose(&mut self, now: SystemTime) -> Result<(), Error> {
        self.jobs.let_go_of_rows();
        if self.paused || self.stopping || self.has_been_told() {
            self.let_go(now, |_| true);
            self.give_back(now);
        } else {
            self.let_go(now, |departure| departure.handover.is_some());
            self.take(now)?;
        }
        if self.taking.is_empty() {
            return Ok(());
        }
        let leased = |departure: &Departure| Leased {
            call: departure.queued.id,
            number: departure.queued.tries + 1,
            interruptions: departure.queued.interruptions,
        };
        self.count_leased(now);
        let calls: Vec<Leased> = self.taking.iter().map(leased).collect();
        let deferred = self.taking.iter().filter(|departure| departure.source.is_deferred());
        self.outbox.leased_deferred = deferred.map(|departure| departure.queued.id.0).collect();
        let floor = self.floor();
        self.outbox.lease = Some(Lease { batch: self.newest_batch + 1, epoch: self.epoch, floor, calls });
        Ok(())
    }

    /// Puts some of the calls that an earlier transaction was to send, and did not, off until now: the rows of jobs have to be taken
    /// anew, and of what was put together for the others nothing may be true any more.
    fn let_go(&mut self, now: SystemTime, which: impl Fn(&Departure) -> bool) {
        let (gone, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.taking).into_iter().partition(which);
        self.taking = others;
        if gone.is_empty() {
            return;
        }
        for departure in gone {
            self.backlog.recall(&departure.lane, departure.queued.kind());
            self.ledger.stops_waiting(departure.queued.id);
            self.outbox.deferrals.push(departure.queued.deferral(Until::Due(now)));
        }
        // It is made anew of what is left, if anything is.
        self.outbox.lease = None;
        self.outbox.leased_deferred.clear();
        self.count_leased(now);
    }

    /// Whether something changed while this turn was looking. A call that it has found may have been queued after that, by
    /// somebody who had paused, disabled or revoked before; it waits for the next turn, which begins at once.
    pub(super) fn has_been_told(&self) -> bool {
        let steering = reason::CONTROL | reason::ENDPOINTS | reason::SECRETS;
        self.entry.wake.load(Ordering::Acquire) & steering != 0 || signals::reload_is_due()
    }

    /// Takes calls out of the backlog. One whose body or secrets cannot be read stays in `chosen`, and is tried in the next turn.
    fn take(&mut self, now: SystemTime) -> Result<(), Error> {
        let mut bytes = 0;
        while bytes < BODY_BUDGET {
            let handful = self.backlog.take(now, HANDFUL);
            self.chosen.extend(handful);
            self.hold_chosen()?;
            if self.chosen.is_empty() {
                break;
            }
            while let Some((_, waiting)) = self.chosen.front_mut() {
                if waiting.stored_bytes() > 0 {
                    bytes += waiting.stored_bytes();
                    waiting.request.body = under_snapshot(|| scan::body(waiting.queued.id, waiting.queued.slot))?;
                }
                self.fetch_secrets_of_next(now)?;
                if let Some((lane, waiting)) = self.chosen.pop_front() {
                    self.depart(lane, waiting, now);
                }
            }
        }
        Ok(())
    }

    /// Lets calls wait again that were taken and are not ready: an error came between.
    fn give_back(&mut self, now: SystemTime) {
        while let Some((lane, waiting)) = self.chosen.pop_back() {
            self.backlog.give_back(&lane, waiting.queued.kind(), now, waiting);
        }
    }

    /// Gives a call its place among those that are leased; or ends it, where it cannot be sent as things are now.
    fn depart(&mut self, lane: LaneName, waiting: Waiting, now: SystemTime) {
        let Waiting { queued, request, source } = waiting;
        let made = self.handover(&queued).and_then(|handover| {
            let attempt = self.attempt(&lane, &queued, request, handover.as_ref(), now)?;
            Ok((attempt, handover))
        });
        let why = match made {
            Ok((attempt, handover)) => {
                return self.taking.push(Departure { lane, queued, source, attempt, handover });
            }
            Err(why) => why,
        };
        self.backlog.recall(&lane, queued.kind());
        self.ledger.stops_waiting(queued.id);
        match why {
            KeptBack::ForGood(why) => self.end_unsent(queued, source, why, now),
            KeptBack::ForNow(pause) => self.outbox.deferrals.push(queued.deferral(Until::Due(now + pause))),
            KeptBack::Unsettled => self.is_unsettled(queued, source, now),
        }
    }

    /// Below this id, every call is done, deferred or leased once the outbox is written. Of jobs that are still to be decided,
    /// that is not certain: their rows may be locked, or be too many for one turn.
    pub(super) fn floor(&self) -> i64 {
        let taken: HashSet<i64> = self.taking.iter().map(|departure| departure.queued.id.0).collect();
        let waiting = self.ledger.fresh().find(|id| !taken.contains(id));
        let undecided = self.jobs.oldest_in_queue();
        [waiting, undecided].into_iter().flatten().fold(self.cursor.floor(), i64::min)
    }

    /// Hands the calls of a lease that has committed to the engine.
    pub(super) fn send(&mut self, lease: Option<&Lease>, now: SystemTime) {
        let Some(lease) = lease else { return };
        for departure in std::mem::take(&mut self.taking) {
            let counted = self.count_departure(&departure, now);
            let Departure { lane, queued, attempt, .. } = departure;
            self.ledger.stops_waiting(queued.id);
            let entry = InFlight {
                lane,
                batch: lease.batch,
                slot: queued.slot,
                owner: queued.owner,
                on_complete: queued.on_complete,
                max_attempts: queued.max_attempts,
                url: queued.endpoint.as_ref().map(|_| attempt.request.url.to_string()),
                born_at: queued.born_at(),
                kind: queued.kind(),
                number: queued.tries + 1,
                interruptions: queued.interruptions,
                stream: queued.stream.map(|_| Stream::Awaited),
                terms: queued.terms,
                round: queued.round,
                counted,
            };
            self.ledger.departs(queued.id, entry);
            if let Some(engine) = &self.engine {
                engine.send(attempt);
            }
        }
        super::failpoint::hit("after_send");
    }
}
