//! Which commands of schedules are being run, in all databases, and by which process.
//!
//! A pid in a table may be that of another process by now. This is in shared memory: a process that ends takes itself off,
//! and a crash, which it could not, empties shared memory. Runs on main threads.

#![allow(unsafe_code, reason = "a callback at exit is a C function")]

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU32, Ordering};

use pgrx::prelude::*;

use crate::worker::latch::{my_database, my_pid, set_latch_of};
use crate::worker::shared::{database, shared};

/// A process that runs a command.
pub struct Seat {
    /// Zero where the seat is free.
    pid: AtomicI32,
    database: AtomicU32,
    run: AtomicI64,
    /// Whether the command has ended, and only its end is still to be recorded.
    is_over: AtomicBool,
}

/// What such a process is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It begins the command or runs it.
    Command,
    /// It records how the command ended.
    Record,
}

impl Seat {
    /// A seat that nobody has.
    pub fn free() -> Self {
        Self {
            pid: AtomicI32::new(0),
            database: AtomicU32::new(0),
            run: AtomicI64::new(0),
            is_over: AtomicBool::new(false),
        }
    }
}

/// No run has this id.
const NO_RUN: i64 = 0;

/// Says for the life of the process that it runs this run; `false` when too many processes say so.
pub fn enter(run: i64) -> bool {
    let take = |seat: &&Seat| seat.pid.compare_exchange(0, my_pid(), Ordering::AcqRel, Ordering::Relaxed).is_ok();
    let Some(seat) = shared().seats.iter().find(take) else { return false };
    seat.database.store(my_database().to_u32(), Ordering::Relaxed);
    seat.is_over.store(false, Ordering::Relaxed);
    seat.run.store(run, Ordering::Release);
    // SAFETY: main thread; the callback is a function that lives as long as the library and cannot fail.
    unsafe { pg_sys::before_shmem_exit(Some(leave), pg_sys::Datum::from(0)) };
    true
}

/// Says that this process's command is over.
pub fn command_is_over() {
    for seat in shared().seats.iter().filter(|seat| seat.pid.load(Ordering::Acquire) == my_pid()) {
        seat.is_over.store(true, Ordering::Release);
    }
}

/// The process that runs a run in this database.
pub fn process_of(run: i64) -> Option<i32> {
    Some(seat_of(run)?.pid.load(Ordering::Acquire)).filter(|pid| *pid > 0)
}

/// What that process is at.
pub fn stage_of(run: i64) -> Option<Stage> {
    let is_over = seat_of(run)?.is_over.load(Ordering::Acquire);
    Some(if is_over { Stage::Record } else { Stage::Command })
}

fn seat_of(run: i64) -> Option<&'static Seat> {
    let database = my_database().to_u32();
    shared()
        .seats
        .iter()
        .find(|seat| seat.run.load(Ordering::Acquire) == run && seat.database.load(Ordering::Relaxed) == database)
}

/// The dispatcher may be one that has not started this process, and is not told by Postgres that it is gone.
unsafe extern "C-unwind" fn leave(_code: i32, _argument: pg_sys::Datum) {
    for seat in &shared().seats {
        if seat.pid.load(Ordering::Acquire) == my_pid() {
            seat.run.store(NO_RUN, Ordering::Release);
            seat.pid.store(0, Ordering::Release);
        }
    }
    if let Some(entry) = database(my_database()) {
        set_latch_of(entry.pid.load(Ordering::Acquire));
    }
}
