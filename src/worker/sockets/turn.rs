//! The transaction in which websockets are written and read, and what follows once it has committed.

use std::panic::AssertUnwindSafe;
use std::time::{Instant, SystemTime};

use pgrx::pg_sys;

use super::memory::Stage;
use super::opening::Departure;
use super::write::{Handlings, Written};
use crate::error::Error;
use crate::store::owner;
use crate::store::transaction::{Aborted, Durability, attempt, under_snapshot};
use crate::worker::failpoint;
use crate::worker::lock::{self, Hold};
use crate::worker::turn::Dispatcher;

/// What a transaction has come to.
pub(super) struct Done {
    pub written: Written,
    /// Connections that are opened as soon as it has committed.
    pub departures: Vec<Departure>,
}

impl Dispatcher {
    /// Writes what is to be written, and reads what there is a reason to read.
    pub(super) fn sockets_transaction(&mut self, now: SystemTime, clock: Instant) {
        let done = transact(self.extension, || {
            let done = self.sockets_in_transaction(now, clock)?;
            let durability = done.written.durability();
            Ok((done, durability))
        });
        match done {
            Ok(Some(done)) => self.sockets_committed(done),
            Ok(None) => self.sockets.rest(),
            Err(aborted) => self.sockets_failed(&aborted),
        }
    }

    fn sockets_in_transaction(&mut self, now: SystemTime, clock: Instant) -> Result<Done, Error> {
        if self.sockets.stage == Stage::Beginning {
            self.begin_sockets()?;
        }
        if !self.sockets.pending.landings.is_empty() {
            failpoint::hit("before_message_commit");
        }
        let slot = self.ring.current;
        let mut written = under_snapshot(|| self.sockets.write_messages(slot, now))?;
        self.read_wishes_and_messages(clock)?;
        let departures = self.prepare_openings(now, clock)?;
        under_snapshot(|| self.sockets.write_states(&mut written, now, clock))?;
        Ok(Done { written, departures })
    }

    fn sockets_committed(&mut self, done: Done) {
        if done.written.outcomes > 0 {
            failpoint::hit("after_outcome_commit");
        }
        self.sockets.written(&done.written);
        self.wants.callbacks |= done.written.handlings == Handlings::Some;
        self.depart_sockets(done.departures);
    }
}

/// Runs something in a transaction, if the extension is the one that is served, and nobody changes it.
pub(super) fn transact<R>(
    served: pg_sys::Oid,
    body: impl FnOnce() -> Result<(R, Durability), Error>,
) -> Result<Option<R>, Aborted> {
    attempt(AssertUnwindSafe(|| match lock::hold_extension() {
        Hold::Held(extension) if extension == served => {
            owner::step_down()?;
            let (done, durability) = body()?;
            Ok((Some(done), durability))
        }
        Hold::Held(_) | Hold::BeingChanged | Hold::Gone => Ok((None, Durability::Relaxed)),
    }))
}
