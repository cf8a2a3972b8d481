//! What the dispatcher knows of the calls it has in memory: waiting, or on the wire.
//!
//! Plain bookkeeping on the main thread; nothing here talks to Postgres or to the engine.

use std::collections::hash_map::{Entry, HashMap};
use std::collections::{BTreeSet, HashSet};
use std::time::SystemTime;

use pgrx::pg_sys;

use super::usage::Counted;
use crate::domain::backlog::LaneName;
use crate::domain::batch::Round;
use crate::domain::call::CallId;
use crate::domain::job::Terms;
use crate::domain::request::Request;
use crate::domain::tally::Kind;
use crate::store::events::Beginning;
use crate::store::scan::{Body, Queued};

/// A call that waits in memory.
#[derive(Debug)]
pub struct Waiting {
    pub queued: Queued,
    /// Its request, still without a body that has to be fetched.
    pub request: Request,
    pub source: Source,
}

/// Where a waiting call was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The queue itself: the cursor's floor must stay at or below it until it is leased.
    Queue,
    /// The table of deferred calls, because its time had come: its row goes when it is leased.
    Deferred,
    /// The same, because there was room for it again: until it is leased, its row says all there is to say.
    Parked,
}

impl Source {
    /// Whether the call has a row in the table of deferred calls.
    pub fn is_deferred(self) -> bool {
        matches!(self, Self::Deferred | Self::Parked)
    }
}

/// A call on the wire.
#[derive(Clone, Debug)]
pub struct InFlight {
    pub lane: LaneName,
    pub batch: i64,
    pub slot: i16,
    pub owner: pg_sys::Oid,
    pub on_complete: Option<pg_sys::Oid>,
    pub max_attempts: Option<u32>,
    /// What its path came to, of a call to a named endpoint.
    pub url: Option<String>,
    /// When its age begins to count.
    pub born_at: SystemTime,
    /// Whether it had been tried before.
    pub kind: Kind,
    /// The number of this try.
    pub number: u32,
    pub interruptions: u32,
    /// How far its answer is, where that is to be streamed.
    pub stream: Option<Stream>,
    /// Of a background job.
    pub terms: Option<Terms>,
    /// Of a call whose body is a list of items.
    pub round: Option<Round>,
    /// What the attempt was counted as.
    pub counted: Counted,
}

/// How far an answer is that is to be streamed.
#[derive(Clone, Debug)]
pub enum Stream {
    /// Nothing has come of it.
    Awaited,
    /// It has begun, and this row is written or about to be.
    Begun(Beginning),
}

/// What a call was found to be that is back from the wire.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all of them are back, and are moved out of it at once")]
pub enum Return {
    /// Nothing that is on it.
    Unknown,
    /// One that counts as on it.
    Stays,
    /// It is.
    Back(InFlight),
}

/// The calls in memory.
#[derive(Debug, Default)]
pub struct Ledger {
    fresh: BTreeSet<i64>,
    deferred: HashSet<i64>,
    in_flight: HashMap<CallId, InFlight>,
    /// Calls still on the wire, by batch.
    batches: HashMap<i64, usize>,
    /// Batches that are done with, but for the newest, which carries the floor.
    finished_batches: Vec<i64>,
}

impl Waiting {
    /// How many bytes have to be fetched before it can be sent.
    pub fn stored_bytes(&self) -> usize {
        match &self.queued.body {
            Body::Stored(size) => *size,
            Body::None | Body::Inline(_) => 0,
        }
    }
}

impl Ledger {
    /// A call begins to wait.
    pub fn begins_to_wait(&mut self, call: CallId, source: Source) {
        match source {
            Source::Queue => self.fresh.insert(call.0),
            Source::Deferred | Source::Parked => self.deferred.insert(call.0),
        };
    }

    /// A call no longer waits in memory.
    pub fn stops_waiting(&mut self, call: CallId) {
        self.fresh.remove(&call.0);
        self.deferred.remove(&call.0);
    }

    /// A call goes on the wire.
    pub fn departs(&mut self, call: CallId, entry: InFlight) {
        *self.batches.entry(entry.batch).or_default() += 1;
        self.in_flight.insert(call, entry);
    }

    /// A call is back from the wire. `None` if it was not on it.
    pub fn returns(&mut self, call: CallId) -> Option<InFlight> {
        match self.returns_unless(call, |_| false) {
            Return::Back(entry) => Some(entry),
            Return::Unknown | Return::Stays => None,
        }
    }

    /// A call is back from the wire, unless `stays` says that it still counts as on it.
    pub fn returns_unless(&mut self, call: CallId, stays: impl FnOnce(&InFlight) -> bool) -> Return {
        let Entry::Occupied(found) = self.in_flight.entry(call) else { return Return::Unknown };
        if stays(found.get()) {
            return Return::Stays;
        }
        let entry = found.remove();
        let Some(left) = self.batches.get_mut(&entry.batch) else { return Return::Unknown };
        *left -= 1;
        if *left == 0 {
            self.batches.remove(&entry.batch);
            self.finished_batches.push(entry.batch);
        }
        Return::Back(entry)
    }

    /// A call on the wire.
    pub fn of(&mut self, call: CallId) -> Option<&mut InFlight> {
        self.in_flight.get_mut(&call)
    }

    /// Whether a call is on the wire.
    pub fn is_in_flight(&self, call: CallId) -> bool {
        self.in_flight.contains_key(&call)
    }

    /// The deferred calls that wait in memory, so that they are not read again.
    pub fn deferred_in_memory(&self) -> Vec<i64> {
        self.deferred.iter().copied().collect()
    }

    /// All calls in memory.
    pub fn all(&self) -> Vec<i64> {
        let waiting = self.fresh.iter().chain(&self.deferred).copied();
        waiting.chain(self.in_flight.keys().map(|call| call.0)).collect()
    }

    /// The ids that wait and are noted nowhere but in the queue, in rising order.
    pub fn fresh(&self) -> impl Iterator<Item = i64> + '_ {
        self.fresh.iter().copied()
    }

    /// How many calls are on the wire.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The batches whose leases may go, given the newest one that must stay, and those of which something is still to be
    /// written.
    pub fn take_finished_batches(&mut self, newest: i64, unwritten: &HashSet<i64>) -> Vec<i64> {
        let stays = |batch: &i64| *batch == newest || unwritten.contains(batch);
        let (stay, go) = std::mem::take(&mut self.finished_batches).into_iter().partition(stays);
        self.finished_batches = stay;
        go
    }

    /// Calls of a slot have moved to another one.
    pub fn move_slot(&mut self, from: i16, to: i16) {
        for entry in self.in_flight.values_mut().filter(|entry| entry.slot == from) {
            entry.slot = to;
        }
    }
}
