//! What is to be written in the next transaction. It is kept until a transaction with it has committed, so that a
//! failing write never loses an answer or makes a call twice.
//!
//! Runs on the main thread of a dispatcher.

use std::collections::HashSet;

use crate::error::Error;
use crate::store::progress::{self, Callback, Deferral, Ending, FailedTry, Final, Lease};
use crate::store::transaction::Durability;

/// Rows to be written together.
#[derive(Debug, Default)]
pub struct Outbox {
    pub endings: Vec<Ending>,
    pub failed_tries: Vec<FailedTry>,
    pub deferrals: Vec<Deferral>,
    /// Deferred calls that have ended.
    pub undeferred: Vec<i64>,
    pub callbacks: Vec<Callback>,
    /// Batches that are done with.
    pub finished_batches: Vec<i64>,
    /// Requests to cancel that have been dealt with.
    pub settled_cancellations: Vec<i64>,
    pub lease: Option<Lease>,
    /// Deferred calls among those of the lease.
    pub leased_deferred: Vec<i64>,
}

impl Outbox {
    /// Whether nothing is to be written.
    pub fn is_empty(&self) -> bool {
        self.endings.is_empty()
            && self.failed_tries.is_empty()
            && self.deferrals.is_empty()
            && self.undeferred.is_empty()
            && self.callbacks.is_empty()
            && self.finished_batches.is_empty()
            && self.settled_cancellations.is_empty()
            && self.lease.is_none()
    }

    /// Losing a lease means sending again; losing an outcome would mean the same, but for a call that is done.
    pub fn durability(&self) -> Durability {
        let only_leases = self.endings.is_empty()
            && self.failed_tries.is_empty()
            && self.deferrals.is_empty()
            && self.callbacks.is_empty()
            && self.settled_cancellations.is_empty();
        if only_leases { Durability::Relaxed } else { Durability::Full }
    }

    /// Writes all of it in the running transaction. `current_slot` is where the ring stands.
    pub fn write(&self, current_slot: i16) -> Result<(), Error> {
        if !self.undeferred.is_empty() || !self.leased_deferred.is_empty() {
            progress::undefer([self.undeferred.as_slice(), &self.leased_deferred].concat())?;
        }
        if !self.endings.is_empty() {
            progress::insert_endings(&self.endings)?;
        }
        // Nearly all calls end in the slot they were queued in, and then there is no statement to run.
        let late: Vec<&Ending> = self.endings.iter().filter(|ending| ending.slot != current_slot).collect();
        if !late.is_empty() {
            progress::insert_late(&late)?;
        }
        if !self.failed_tries.is_empty() {
            progress::insert_failed_tries(&self.failed_tries)?;
        }
        if !self.deferrals.is_empty() {
            progress::defer(&self.deferrals)?;
        }
        if !self.callbacks.is_empty() {
            progress::insert_callbacks(&self.callbacks)?;
        }
        if !self.settled_cancellations.is_empty() {
            progress::delete_cancellations(self.settled_cancellations.clone())?;
        }
        if !self.finished_batches.is_empty() {
            progress::delete_leases(&self.finished_batches)?;
        }
        if let Some(lease) = &self.lease {
            progress::insert_lease(lease)?;
        }
        Ok(())
    }

    /// The calls that have ended.
    pub fn ended(&self) -> HashSet<i64> {
        self.endings.iter().map(|ending| ending.call.0).collect()
    }

    /// Bytes of answers held.
    pub fn bytes(&self) -> usize {
        self.endings.iter().filter_map(|ending| ending.body.as_ref()).map(bytes::Bytes::len).sum()
    }
}

/// The same ending without what the peer sent, for an answer that cannot be stored.
pub fn without_answer(ending: &Ending, reason: &str) -> Ending {
    let mut bare = ending.clone();
    bare.state = Final::Failed;
    bare.headers = None;
    bare.body = None;
    bare.trace.error_class = Some(crate::domain::outcome::FailureClass::Internal.name());
    bare.trace.error = Some(format!("the answer could not be stored: {reason}"));
    bare
}
