//! Which commands of schedules are being run, in all databases, and by which process.
//!
//! A pid in a table may be that of another process by now. This is in shared memory: a process that ends takes itself off,
//! and a crash, which it could not, empties shared memory. Runs on main threads.

#![allow(unsafe_code, reason = "a callback at exit is a C function")]

use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, Ordering};

use pgrx::prelude::*;

use super::latch::{my_database, my_pid};
use super::shared::shared;
use super::wake::{self, reason};

/// A process that runs a command.
pub struct Seat {
    /// Zero where the seat is free.
    pid: AtomicI32,
    database: AtomicU32,
    run: AtomicI64,
}

impl Seat {
    /// A seat that nobody has.
    pub fn free() -> Self {
        Self { pid: AtomicI32::new(0), database: AtomicU32::new(0), run: AtomicI64::new(0) }
    }
}

/// No run has this id.
const NO_RUN: i64 = 0;

/// Says for the life of the process that it runs this run; `false` when too many processes say so.
pub fn enter(run: i64) -> bool {
    let take = |seat: &&Seat| seat.pid.compare_exchange(0, my_pid(), Ordering::AcqRel, Ordering::Relaxed).is_ok();
    let Some(seat) = shared().seats.iter().find(take) else { return false };
    seat.database.store(my_database().to_u32(), Ordering::Relaxed);
    seat.run.store(run, Ordering::Release);
    // SAFETY: main thread; the callback is a function that lives as long as the library and cannot fail.
    unsafe { pg_sys::before_shmem_exit(Some(leave), pg_sys::Datum::from(0)) };
    true
}

/// The process that runs a run in this database.
pub fn process_of(run: i64) -> Option<i32> {
    let database = my_database().to_u32();
    let seat = shared()
        .seats
        .iter()
        .find(|seat| seat.run.load(Ordering::Acquire) == run && seat.database.load(Ordering::Relaxed) == database)?;
    Some(seat.pid.load(Ordering::Acquire)).filter(|pid| *pid > 0)
}

/// Whoever watches this run, though he has not started it, is told that it is over.
unsafe extern "C-unwind" fn leave(_code: i32, _argument: pg_sys::Datum) {
    for seat in &shared().seats {
        if seat.pid.load(Ordering::Acquire) == my_pid() {
            seat.run.store(NO_RUN, Ordering::Release);
            seat.pid.store(0, Ordering::Release);
        }
    }
    wake::now(reason::COMMANDS);
}
