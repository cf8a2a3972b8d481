//! Choosing calls to send, leasing them, and handing them to the engine once the lease has committed.
//!
//! Runs on the main thread of a dispatcher.

use std::collections::HashSet;
use std::time::SystemTime;

use super::ledger::{InFlight, Source, Waiting};
use super::turn::Dispatcher;
use crate::domain::attempt::{Attempt, Limits};
use crate::domain::backlog::LaneName;
use crate::domain::{header, request};
use crate::error::Error;
use crate::store::progress::{Lease, Leased};
use crate::store::scan::{self, Queued};
use crate::store::transaction::under_snapshot;

/// Bytes of request bodies put on the wire in one turn.
const BODY_BUDGET: usize = 64 * 1024 * 1024;

/// Calls taken at once while the byte budget lasts.
const HANDFUL: usize = 32;

impl Dispatcher {
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
        let taken: HashSet<i64> = self.taking.iter().map(|(_, waiting)| waiting.queued.id.0).collect();
        let waiting = self.ledger.fresh().find(|id| !taken.contains(id));
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
