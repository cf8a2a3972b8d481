//! How many calls of each role have not ended, for `pg_edge.max_queued_per_role`.
//!
//! Counted in shared memory, so that queueing a call scans nothing: a session adds what it queued once that is committed,
//! the dispatcher takes away what it ended, and counts anew when it begins. The sums commute, so it does not matter that
//! a call may end before it is added. What is lost here is at most a limit kept a little late, never a call.

#![allow(unsafe_code, reason = "shared memory is declared to pgrx here")]

use std::sync::atomic::{AtomicI64, Ordering};

use pgrx::lwlock::PgLwLock;
use pgrx::prelude::*;
use pgrx::{PGRXSharedMemory, pg_shmem_init};

use crate::worker::shared;

/// Pairs of a database and a role that can have calls at once. A role beyond them is not held back.
const ENTRIES: usize = 1024;

/// The calls of one role in one database.
struct Entry {
    database: pg_sys::Oid,
    role: pg_sys::Oid,
    /// Below zero for the moment between a call's quick end and its session's addition.
    calls: AtomicI64,
}

/// All entries; those from `used` on have never been used. Counting takes the lock shared, taking an entry exclusively.
struct Counts {
    used: usize,
    entries: [Entry; ENTRIES],
}

// SAFETY: plain numbers and atomics; valid in every process that maps the segment.
unsafe impl PGRXSharedMemory for Counts {}

// SAFETY: the name is ours alone.
static COUNTS: PgLwLock<Counts> = unsafe { PgLwLock::new(c"pg_edge queued") };

/// The calls of one role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    pub role: pg_sys::Oid,
    pub calls: i64,
}

/// Asks Postgres for the memory while the server starts.
pub fn register() {
    pg_shmem_init!(COUNTS = Counts::new());
}

/// How many calls of a role have not ended.
pub fn of_role(database: pg_sys::Oid, role: pg_sys::Oid) -> u64 {
    let calls = COUNTS.share().find(database, role).map_or(0, |entry| entry.calls.load(Ordering::Relaxed));
    u64::try_from(calls).unwrap_or(0)
}

/// How many calls of each role of a database have not ended.
pub fn of_database(database: pg_sys::Oid) -> Vec<Queued> {
    let counts = COUNTS.share();
    let entries = counts.used().iter().filter(|entry| entry.database == database);
    entries.map(|entry| Queued { role: entry.role, calls: entry.calls.load(Ordering::Relaxed) }).collect()
}

/// Adds calls to those of a role, or takes them away where `change` is negative. Cannot fail.
pub fn add(database: pg_sys::Oid, role: pg_sys::Oid, change: i64) {
    let added = |entry: &Entry| {
        entry.calls.fetch_add(change, Ordering::Relaxed);
    };
    if COUNTS.share().find(database, role).map(added).is_some() {
        return;
    }
    let mut counts = COUNTS.exclusive();
    if counts.find(database, role).map(added).is_some() {
        return;
    }
    if let Some(entry) = counts.take() {
        *entry = Entry { database, role, calls: AtomicI64::new(change) };
    }
}

/// Puts what was counted in the tables in place of what was known before that. What has changed in between stays.
pub fn correct(database: pg_sys::Oid, before: &[Queued], found: &[Queued]) {
    for Queued { role, calls } in before {
        add(database, *role, -calls);
    }
    for Queued { role, calls } in found {
        add(database, *role, *calls);
    }
}

impl Counts {
    fn new() -> Self {
        let free = |_| Entry { database: pg_sys::InvalidOid, role: pg_sys::InvalidOid, calls: AtomicI64::new(0) };
        Self { used: 0, entries: std::array::from_fn(free) }
    }

    fn used(&self) -> &[Entry] {
        &self.entries[..self.used]
    }

    /// A handful of roles queue calls in most clusters, so nothing is faster than looking at one after the other.
    fn find(&self, database: pg_sys::Oid, role: pg_sys::Oid) -> Option<&Entry> {
        self.used().iter().find(|entry| entry.role == role && entry.database == database)
    }

    /// An entry to be filled: one that was never used, else one without calls, else one of a database that is gone.
    fn take(&mut self) -> Option<&mut Entry> {
        if self.used < ENTRIES {
            self.used += 1;
            return self.entries.get_mut(self.used - 1);
        }
        let idle = |entry: &Entry| entry.calls.load(Ordering::Relaxed) == 0;
        let gone = |entry: &Entry| shared::database(entry.database).is_none();
        let found = self.entries.iter().position(idle).or_else(|| self.entries.iter().position(gone))?;
        self.entries.get_mut(found)
    }
}
