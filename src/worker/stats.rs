//! How endpoints are doing, in shared memory, for `edge.stat_endpoints`: the dispatchers write, every session reads.
//!
//! None of it is a row, and none survives the server. A row may be read while it is written: its numbers then belong to
//! neighbouring moments.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pgrx::lwlock::PgLwLock;
use pgrx::prelude::*;
use pgrx::{PGRXSharedMemory, PgAtomic, pg_shmem_init};

use super::last_errors;
use crate::domain::backlog::LaneStatus;
use crate::domain::breaker::State;
use crate::domain::lane_policy::Gate;
use crate::domain::usage;

/// Endpoints that the whole cluster can show. A newcomer takes the row of the origin that has been silent longest, and that of an
/// endpoint with a name only where no origin has one.
pub(super) const ROWS: usize = 512;

/// The longest origin: scheme, 253 bytes of host, port.
const LONGEST_NAME: usize = 272;

/// The numbers of one endpoint.
pub struct Row {
    pub in_flight: AtomicU32,
    pub waiting: AtomicU32,
    /// One of the constants of [`gate`].
    pub gate: AtomicU32,
    /// One of the constants of [`breaker`].
    pub breaker: AtomicU32,
    /// Microseconds since 1970, as all times here; zero where there is none.
    pub opens_at: AtomicI64,
    pub parked_until: AtomicI64,
    pub held_until: AtomicI64,
    pub counted_since: AtomicI64,
    pub seen_at: AtomicI64,
    /// When an attempt failed last.
    pub error_at: AtomicI64,
    /// Since when its answers refuse the key.
    pub refused_since: AtomicI64,
    pub attempts: AtomicU64,
    pub failures: AtomicU64,
    pub succeeded: AtomicU64,
    pub failed: AtomicU64,
    pub retried: AtomicU64,
    pub openings: AtomicU64,
}

/// Where a breaker stands.
pub mod breaker {
    pub const CLOSED: u32 = 0;
    pub const OPEN: u32 = 1;
    pub const HALF_OPEN: u32 = 2;
}

/// Whether an endpoint is in use.
pub mod gate {
    pub const OPEN: u32 = 0;
    pub const CLOSED: u32 = 1;
}

/// Whose row is whose.
#[derive(Clone, Copy)]
struct Names {
    rows: [Name; ROWS],
}

#[derive(Clone, Copy)]
struct Name {
    /// Zero where the row is free.
    database: u32,
    length: usize,
    bytes: [u8; LONGEST_NAME],
}

/// The rows of all names.
pub struct Rows([Row; ROWS]);

// SAFETY: made of atomics only; valid in every process that maps the segment.
#[allow(unsafe_code, reason = "shared memory is declared to pgrx here")]
unsafe impl PGRXSharedMemory for Rows {}
// SAFETY: plain bytes, guarded by a lock.
#[allow(unsafe_code, reason = "shared memory is declared to pgrx here")]
unsafe impl PGRXSharedMemory for Names {}

// SAFETY: the names are ours alone.
#[allow(unsafe_code, reason = "shared memory is declared to pgrx here")]
static ROWS_OF_ALL: PgAtomic<Rows> = unsafe { PgAtomic::new(c"pg_edge endpoint rows") };
// SAFETY: as above.
#[allow(unsafe_code, reason = "shared memory is declared to pgrx here")]
static NAMES: PgLwLock<Names> = unsafe { PgLwLock::new(c"pg_edge endpoint names") };

/// Asks Postgres for the memory while the server starts.
pub fn register() {
    pg_shmem_init!(ROWS_OF_ALL = Rows(std::array::from_fn(|_| Row::empty())));
    pg_shmem_init!(NAMES = Names { rows: [Name::FREE; ROWS] });
}

/// Notes how an endpoint of a database is doing.
pub fn note(database: pg_sys::Oid, status: &LaneStatus, now: SystemTime) {
    let Some(row) = row(database, &status.name, now) else { return };
    let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    row.in_flight.store(small(status.in_flight), Ordering::Relaxed);
    row.waiting.store(small(status.waiting), Ordering::Relaxed);
    row.gate.store(if status.gate == Gate::Open { gate::OPEN } else { gate::CLOSED }, Ordering::Relaxed);
    let (state, opens_at) = match status.breaker {
        State::Closed => (breaker::CLOSED, None),
        State::Open(until) => (breaker::OPEN, Some(until)),
        State::HalfOpen => (breaker::HALF_OPEN, None),
    };
    row.breaker.store(state, Ordering::Relaxed);
    row.opens_at.store(opens_at.map_or(0, micros), Ordering::Relaxed);
    row.parked_until.store(status.parked_until.map_or(0, micros), Ordering::Relaxed);
    row.held_until.store(status.held_until.map_or(0, micros), Ordering::Relaxed);
    row.seen_at.store(micros(now), Ordering::Relaxed);
    let tally = &status.tally;
    for (count, more) in [
        (&row.attempts, tally.attempts),
        (&row.failures, tally.ill),
        (&row.succeeded, tally.succeeded),
        (&row.failed, tally.failed),
        (&row.retried, tally.retried),
        (&row.openings, tally.openings),
    ] {
        count.fetch_add(more, Ordering::Relaxed);
    }
}

/// An endpoint's row, and the sentence that was last said of it.
pub struct Shown {
    pub name: String,
    pub row: &'static Row,
    pub last_error: Option<String>,
}

/// The endpoints of a database that are known.
pub fn of_database(database: pg_sys::Oid) -> Vec<Shown> {
    let names = NAMES.share();
    let own = names.rows.iter().zip(&ROWS_OF_ALL.get().0).enumerate();
    let own = own.filter(|(_, (name, _))| name.database == database.to_u32());
    own.map(|(index, (name, row))| {
        let name = String::from_utf8_lossy(name.bytes()).into_owned();
        Shown { name, row, last_error: time(&row.error_at).map(|_| last_errors::read(index)) }
    })
    .collect()
}

/// The endpoints of a database whose latest answer refused the key, and since when they do.
pub fn refusing(database: pg_sys::Oid) -> Vec<(String, SystemTime)> {
    let shown = of_database(database).into_iter();
    shown.filter_map(|shown| Some((shown.name, time(&shown.row.refused_since)?))).collect()
}

/// Does something with an endpoint's row, if it has one. Nobody else is given that row meanwhile.
pub fn with_row(database: pg_sys::Oid, name: &str, act: impl FnOnce(usize, &'static Row)) {
    let names = NAMES.share();
    if let Some(index) = names.rows.iter().position(|known| known.is(database, name)) {
        act(index, &ROWS_OF_ALL.get().0[index]);
    }
}

/// Microseconds since 1970 as a time; `None` for zero.
pub fn time(micros: &AtomicI64) -> Option<SystemTime> {
    let micros = micros.load(Ordering::Relaxed);
    u64::try_from(micros).ok().filter(|micros| *micros > 0).map(|micros| UNIX_EPOCH + Duration::from_micros(micros))
}

pub(super) fn micros(time: SystemTime) -> i64 {
    i64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()).unwrap_or(i64::MAX)
}

/// The row of an endpoint, taken if need be.
fn row(database: pg_sys::Oid, name: &str, now: SystemTime) -> Option<&'static Row> {
    let rows = &ROWS_OF_ALL.get().0;
    if let Some(index) = NAMES.share().rows.iter().position(|known| known.is(database, name)) {
        return rows.get(index);
    }
    let mut names = NAMES.exclusive();
    let free = names.rows.iter().position(|known| known.database == 0);
    let worth = |index: &usize| (!names.rows[*index].is_origin(), rows[*index].seen_at.load(Ordering::Relaxed));
    let index = free.or_else(|| (0..ROWS).min_by_key(worth))?;
    names.rows[index] = Name::new(database, name);
    rows[index].clear(now);
    rows.get(index)
}

/// Where a text ends that has to fit into so many bytes.
pub(super) fn cut(text: &str, longest: usize) -> usize {
    (0..=text.len().min(longest)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0)
}

impl Name {
    const FREE: Self = Self { database: 0, length: 0, bytes: [0; LONGEST_NAME] };

    fn new(database: pg_sys::Oid, name: &str) -> Self {
        let length = cut(name, LONGEST_NAME);
        let mut bytes = [0; LONGEST_NAME];
        bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
        Self { database: database.to_u32(), length, bytes }
    }

    fn is(&self, database: pg_sys::Oid, name: &str) -> bool {
        self.database == database.to_u32() && self.bytes() == &name.as_bytes()[..cut(name, LONGEST_NAME)]
    }

    fn is_origin(&self) -> bool {
        std::str::from_utf8(self.bytes()).is_ok_and(usage::is_origin)
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Row {
    fn empty() -> Self {
        Self {
            in_flight: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            gate: AtomicU32::new(gate::OPEN),
            breaker: AtomicU32::new(breaker::CLOSED),
            opens_at: AtomicI64::new(0),
            parked_until: AtomicI64::new(0),
            held_until: AtomicI64::new(0),
            counted_since: AtomicI64::new(0),
            seen_at: AtomicI64::new(0),
            error_at: AtomicI64::new(0),
            refused_since: AtomicI64::new(0),
            attempts: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            openings: AtomicU64::new(0),
        }
    }

    fn clear(&self, now: SystemTime) {
        for count in [&self.attempts, &self.failures, &self.succeeded, &self.failed, &self.retried, &self.openings] {
            count.store(0, Ordering::Relaxed);
        }
        self.error_at.store(0, Ordering::Relaxed);
        self.refused_since.store(0, Ordering::Relaxed);
        self.counted_since.store(micros(now), Ordering::Relaxed);
    }
}
