//! What all processes of the cluster share: which database has which dispatcher, and how it is doing.
//!
//! Everything here is an atomic or guarded by a lock of Postgres, and survives nothing but its server: no pointer,
//! descriptor or handle of a process is ever kept in it. A pid may be stale; whoever reads one checks.

#![allow(unsafe_code, reason = "shared memory is declared to pgrx here, and nowhere else")]

use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, Ordering};

use pgrx::lwlock::PgLwLock;
use pgrx::prelude::*;
use pgrx::{PGRXSharedMemory, PgAtomic, pg_shmem_init};

use super::commands::living::Seat;
use super::waiters::Waiter;

/// Databases that can have a dispatcher at once.
pub const DATABASES: usize = 64;

/// Sessions that can wait for a call by their latch at once; more than these look again from time to time.
pub const WAITERS: usize = 1024;

/// Commands of schedules that can be run at once, in all databases. Each is a background worker.
pub const SEATS: usize = 1024;

/// The shared memory.
pub struct Shared {
    pub launcher_pid: AtomicI32,
    pub databases: [Database; DATABASES],
    pub waiters: [Waiter; WAITERS],
    pub seats: [Seat; SEATS],
}

/// One database and its dispatcher.
pub struct Database {
    /// Zero where the entry is free.
    pub oid: AtomicU32,
    /// One of the constants of [`wanted`].
    pub wanted: AtomicU32,
    /// The dispatcher's process, zero where none runs.
    pub pid: AtomicI32,
    /// A session that needs the database to itself, zero where none does.
    pub held_by: AtomicI32,
    /// Reasons to wake up that the dispatcher has not looked at yet.
    pub wake: AtomicU32,
    pub gauges: Gauges,
}

/// Whether a database is to have a dispatcher.
pub mod wanted {
    /// The extension is not there.
    pub const NO: u32 = 0;
    /// A dispatcher was started and is to be kept running.
    pub const YES: u32 = 1;
    /// Asked for since the last dispatcher was started.
    pub const REQUESTED: u32 = 2;
}

/// How a dispatcher is doing, for `edge.worker_status`.
#[derive(Default)]
pub struct Gauges {
    /// Microseconds since 1970.
    pub started_at: AtomicI64,
    pub in_flight: AtomicU32,
}

/// The last error of each dispatcher, as text.
#[derive(Clone, Copy)]
pub struct Errors {
    texts: [ErrorText; DATABASES],
}

#[derive(Clone, Copy)]
struct ErrorText {
    length: usize,
    bytes: [u8; 240],
}

// SAFETY: made of atomics only; valid in every process that maps the segment.
unsafe impl PGRXSharedMemory for Shared {}
// SAFETY: plain bytes, guarded by a lock.
unsafe impl PGRXSharedMemory for Errors {}

// SAFETY: the names are ours alone.
static SHARED: PgAtomic<Shared> = unsafe { PgAtomic::new(c"pg_edge shared") };
// SAFETY: as above.
static ERRORS: PgLwLock<Errors> = unsafe { PgLwLock::new(c"pg_edge errors") };

/// Asks Postgres for the memory while the server starts.
pub fn register() {
    pg_shmem_init!(SHARED = Shared::new());
    pg_shmem_init!(ERRORS = Errors { texts: [ErrorText { length: 0, bytes: [0; 240] }; DATABASES] });
}

/// The shared memory of this cluster.
pub fn shared() -> &'static Shared {
    SHARED.get()
}

/// The entry of a database, if it has one.
pub fn database(oid: pg_sys::Oid) -> Option<&'static Database> {
    shared().databases.iter().find(|entry| entry.oid.load(Ordering::Acquire) == oid.to_u32())
}

/// The entry of a database, made if need be; `None` when all entries are in use.
pub fn claim(oid: pg_sys::Oid) -> Option<&'static Database> {
    // The lock keeps two sessions from claiming for one database at once; its content does not matter here.
    let _guard = ERRORS.exclusive();
    find_or_take(oid)
}

/// Asks for a dispatcher where none is wanted yet, or even where one is; `None` when all entries are in use.
pub fn request(oid: pg_sys::Oid, when: Ask) -> Option<&'static Database> {
    // Under the lock, because an entry that nobody wants may be taken for another database at any time.
    let _guard = ERRORS.exclusive();
    let entry = find_or_take(oid)?;
    let wanted = entry.wanted.load(Ordering::Acquire);
    if when == Ask::Anew || wanted == wanted::NO {
        entry.wanted.store(wanted::REQUESTED, Ordering::Release);
    }
    Some(entry)
}

/// When a dispatcher is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// At any rate: a pause after a failure ends.
    Anew,
    /// If none is wanted yet.
    IfUnwanted,
}

fn find_or_take(oid: pg_sys::Oid) -> Option<&'static Database> {
    if let Some(entry) = database(oid) {
        return Some(entry);
    }
    // One that was never used is better than one that somebody may be about to want.
    let free = |entry: &&Database| entry.oid.load(Ordering::Acquire) == 0;
    let unwanted = |entry: &&Database| {
        entry.wanted.load(Ordering::Acquire) == wanted::NO && entry.pid.load(Ordering::Acquire) == 0
    };
    let entries = &shared().databases;
    let entry = entries.iter().find(free).or_else(|| entries.iter().find(unwanted))?;
    entry.wake.store(0, Ordering::Release);
    entry.held_by.store(0, Ordering::Release);
    entry.oid.store(oid.to_u32(), Ordering::Release);
    Some(entry)
}

/// Keeps the latest error of a database's dispatcher.
pub fn note_error(entry: &Database, text: &str) {
    let mut cut = text.len().min(240);
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    let mut noted = ErrorText { length: cut, bytes: [0; 240] };
    noted.bytes[..cut].copy_from_slice(&text.as_bytes()[..cut]);
    ERRORS.exclusive().texts[index(entry)] = noted;
}

/// The latest error of a database's dispatcher.
pub fn last_error(entry: &Database) -> Option<String> {
    let noted = ERRORS.share().texts[index(entry)];
    (noted.length > 0).then(|| String::from_utf8_lossy(&noted.bytes[..noted.length]).into_owned())
}

fn index(entry: &Database) -> usize {
    // Every `&Database` is one of the array's.
    shared().databases.iter().position(|known| std::ptr::eq(known, entry)).unwrap_or(0)
}

impl Shared {
    fn new() -> Self {
        Self {
            launcher_pid: AtomicI32::new(0),
            databases: std::array::from_fn(|_| Database::free()),
            waiters: std::array::from_fn(|_| Waiter::free()),
            seats: std::array::from_fn(|_| Seat::free()),
        }
    }
}

impl Database {
    fn free() -> Self {
        Self {
            oid: AtomicU32::new(0),
            wanted: AtomicU32::new(wanted::NO),
            pid: AtomicI32::new(0),
            held_by: AtomicI32::new(0),
            wake: AtomicU32::new(0),
            gauges: Gauges::default(),
        }
    }
}
