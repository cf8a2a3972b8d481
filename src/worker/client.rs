//! The client at the other end of a session: sending on what it has been given, and noticing that it is gone.
//!
//! Runs on the main thread of a session. Postgres keeps rows back until 8 kB have come together or the statement ends;
//! whoever waits for a slow answer wants them before that.

#![allow(unsafe_code, reason = "pgrx knows nothing of the connection to the client")]

use pgrx::prelude::*;

/// How messages get to the client, as in libpq/libpq.h, which pgrx does not read.
#[repr(C)]
#[allow(dead_code, reason = "the layout is Postgres'")]
struct CommMethods {
    comm_reset: Option<unsafe extern "C-unwind" fn()>,
    flush: Option<unsafe extern "C-unwind" fn() -> i32>,
    flush_if_writable: Option<unsafe extern "C-unwind" fn() -> i32>,
    is_send_pending: Option<unsafe extern "C-unwind" fn() -> bool>,
    // The others are not used here, and nothing is ever made of this type.
}

unsafe extern "C-unwind" {
    #[link_name = "PqCommMethods"]
    static COMM_METHODS: *const CommMethods;

    /// In libpq/libpq.h as well: whether the peer of the socket is still there, as far as the system knows.
    fn pq_check_connection() -> bool;
}

/// Sends what the client has been given so far. Without a client this does nothing.
///
/// It may wait for the client to read, and may reset the latch meanwhile: look for news after it, not before. A client that
/// is gone is noticed by the check for interrupts that follows.
pub fn flush() {
    if !has_client() {
        return;
    }
    // SAFETY: main thread. The variable points to one of Postgres' own tables of functions, whose first two have been these
    // since before version 14. Rows and COPY data are handed over as whole messages, and this runs while the executor asks
    // for the next row, so no message is half written. It may raise an error, which the guard turns into a panic as
    // pgrx' own bindings do.
    unsafe {
        if let Some(flush) = (*COMM_METHODS).flush {
            pg_sys::ffi::pg_guard_ffi_boundary(|| flush());
        }
    }
    pgrx::check_for_interrupts!();
}

/// Ends the session if its client is gone. The system knows of that without anything being sent.
pub fn check() {
    if !has_client() {
        return;
    }
    // SAFETY: main thread. The check looks at the socket without waiting; it may raise an error, as above. The two flags are
    // what Postgres itself sets when it finds the client gone, and the next check for interrupts acts on them.
    unsafe {
        if !pg_sys::ffi::pg_guard_ffi_boundary(|| pq_check_connection()) {
            pg_sys::ClientConnectionLost = 1;
            pg_sys::InterruptPending = 1;
        }
    }
    pgrx::check_for_interrupts!();
}

/// A background worker has none, and a parallel one, which cannot run our functions anyway, talks to its leader instead.
fn has_client() -> bool {
    // SAFETY: plain variables of the process, read on its main thread.
    unsafe { pg_sys::whereToSendOutput == pg_sys::CommandDest::DestRemote && pg_sys::ParallelWorkerNumber < 0 }
}
