//! Background jobs: calls of which a session may say at any time how they ended.
//!
//! What a session has said in the row of a job, and committed, holds: it wins over an answer, a lease that has run out, a
//! cancel, whatever else the dispatcher was about to write. So nothing that ends a job, delivers it again or puts it
//! off is written from memory. It waits here as a case, and is decided in the transaction that writes it, once that holds
//! the job's row; after a transaction that failed it is decided anew. A row that somebody else has locked is passed over, and
//! looked at again soon: the dispatcher never waits for a session.

mod carry_out;
mod decide;
mod deliver;
mod find;
mod rescue;
mod subject;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

pub use self::decide::Decided;
pub use self::deliver::Handover;
use self::deliver::Holding;
use super::ledger::{InFlight, Source};
use super::settle::Unsent;
use crate::domain::attempt::Report;
use crate::domain::call::CallId;
use crate::domain::job::Terms;
use crate::store::scan::Queued;

/// How soon a row is looked at again that somebody else has locked.
pub const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// No case is left alone for longer, whatever the clock did meanwhile.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// The jobs of a database that something is to be decided of.
#[derive(Debug, Default)]
pub struct Jobs {
    open: BTreeMap<CallId, Open>,
    /// What the running transaction writes of them.
    decided: Decided,
    /// The rows that the running transaction holds of jobs which are to be sent.
    holdings: HashMap<CallId, Holding>,
    /// Somebody wants to cancel a job that is among these.
    cancels: Cancels,
}

/// A case, and when it is looked at next.
#[derive(Debug)]
struct Open {
    case: Case,
    next_look: SystemTime,
}

/// What has happened to a job.
#[derive(Clone, Debug)]
pub enum Case {
    /// Its delivery was answered, or will not be.
    Answered { terms: Terms, report: Box<Report>, entry: Box<InFlight> },
    /// The same, and what the peer sent cannot be stored; says why.
    Unstorable { terms: Terms, report: Box<Report>, entry: Box<InFlight>, reason: String },
    /// It is not on the wire.
    Resting { queued: Box<Queued>, source: Source, why: Why },
}

/// Why a job is looked at that is not on the wire.
#[derive(Clone, Debug)]
pub enum Why {
    /// Its lease may have run out.
    Due,
    /// Its function has reported.
    Said,
    /// It is to be sent, and its last delivery is not over.
    Unsettled,
    /// It is to end.
    Ends(Unsent),
}

/// Whether requests to cancel are looked at again when something has been decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Cancels {
    #[default]
    None,
    Wait,
}

impl Open {
    /// When it is to be looked at. A clock that was set back puts nothing off.
    fn next_look(&self, now: SystemTime) -> SystemTime {
        if self.next_look > now + LONGEST_REST { now } else { self.next_look }
    }
}

impl Jobs {
    /// Something has happened to a job; it is decided in the next transaction.
    pub fn open(&mut self, call: CallId, case: Case, now: SystemTime) {
        self.open.insert(call, Open { case, next_look: now });
    }

    /// A new transaction holds no row.
    pub fn let_go_of_rows(&mut self) {
        self.holdings.clear();
    }

    /// Whether something is to be decided of a call.
    pub fn is_open(&self, call: CallId) -> bool {
        self.open.contains_key(&call)
    }

    /// The calls of which something is to be decided. Memory alone knows of some of them.
    pub fn calls(&self) -> impl Iterator<Item = i64> + '_ {
        self.open.keys().map(|call| call.0)
    }

    /// Whether nothing is to be decided.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// When something is to be looked at next.
    pub fn next_look(&self, now: SystemTime) -> Option<SystemTime> {
        self.open.values().map(|open| open.next_look(now)).min()
    }

    /// The oldest job that is known from the queue alone, and neither leased nor put off: until its end is written, a floor
    /// above it would lose it in a crash.
    pub fn oldest_in_queue(&self) -> Option<i64> {
        let in_queue = |open: &Open| matches!(open.case, Case::Resting { source: Source::Queue, .. });
        self.open.iter().find(|(_, open)| in_queue(open)).map(|(call, _)| call.0)
    }

    /// Whether something is to be looked at now.
    pub fn is_due(&self, now: SystemTime) -> bool {
        self.next_look(now).is_some_and(|at| at <= now)
    }

    /// The batches whose leases must stay: what became of their calls is not written.
    pub fn batches(&self) -> impl Iterator<Item = i64> + '_ {
        self.open.values().filter_map(|open| match &open.case {
            Case::Answered { entry, .. } | Case::Unstorable { entry, .. } => Some(entry.batch),
            Case::Resting { .. } => None,
        })
    }

    /// Somebody wants to cancel one of these calls.
    pub fn cancel(&mut self, call: CallId) {
        let Some(open) = self.open.get_mut(&call) else { return };
        match &mut open.case {
            Case::Resting { why, .. } => *why = Why::Ends(Unsent::Cancelled),
            // It may be put off by what is decided, and can be cancelled then.
            Case::Answered { .. } | Case::Unstorable { .. } => {}
        }
        self.cancels = Cancels::Wait;
    }

    /// Somebody wants to cancel a job on the wire. Its answer may have come already, and mean that it goes on.
    pub fn cancels_in_flight(&mut self) {
        self.cancels = Cancels::Wait;
    }

    /// Calls of a slot have moved to another one.
    pub fn move_slot(&mut self, from: i16, to: i16) {
        for open in self.open.values_mut() {
            let slot = match &mut open.case {
                Case::Answered { entry, .. } | Case::Unstorable { entry, .. } => &mut entry.slot,
                Case::Resting { queued, .. } => &mut queued.slot,
            };
            if *slot == from {
                *slot = to;
            }
        }
    }
}
