//! Writing into the server log from a worker.
//!
//! Runs on the main thread of a worker. `ereport` looks for a pending cancel after it has written a line, and its error
//! would jump over Rust frames to the end of the process; so interrupts are held meanwhile.

#![allow(unsafe_code, reason = "a counter of Postgres, as its macro HOLD_INTERRUPTS changes it")]

use pgrx::prelude::*;

/// Writes a line that an administrator may want to read.
pub fn log(line: &str) {
    holding_interrupts(|| pgrx::log!("pg_edge {line}"));
}

/// Writes a line that an administrator should act on.
pub fn warn(line: &str) {
    holding_interrupts(|| pgrx::warning!("pg_edge {line}"));
}

fn holding_interrupts(write: impl FnOnce()) {
    // SAFETY: main thread; the counter is this process's own, and writing a line below ERROR returns.
    unsafe { pg_sys::InterruptHoldoffCount += 1 };
    write();
    // SAFETY: as above.
    unsafe { pg_sys::InterruptHoldoffCount -= 1 };
}
