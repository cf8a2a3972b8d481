//! Waking the dispatcher when a transaction that gave it work commits.
//!
//! Runs on the main thread of a backend. Nothing in the callback may fail: an error after the commit record would
//! bring the cluster down.

#![allow(unsafe_code, reason = "a transaction callback is a C function")]

use std::cell::Cell;
use std::sync::atomic::Ordering;

use pgrx::prelude::*;

use super::failpoint;
use super::latch::{my_database, set_latch_of};
use super::queued;
use super::shared::{self, Ask, Database, wanted};
use super::step_aside;

/// Reasons to wake a dispatcher, as bits.
pub mod reason {
    /// Calls were queued.
    pub const CALLS: u32 = 1;
    /// Sending was paused or resumed.
    pub const CONTROL: u32 = 2;
    /// Calls are to be cancelled.
    pub const CANCEL: u32 = 4;
    /// The extension was dropped.
    pub const LOOK: u32 = 8;
    /// Endpoints were made, changed or dropped.
    pub const ENDPOINTS: u32 = 32;
    /// The extension was created: not for a dispatcher, but for the launcher.
    pub const CREATED: u32 = 16;
    /// Calls are counted as queued that never will be: a prepared transaction was rolled back.
    pub const RECOUNT: u32 = 128;
    /// Secrets were set, dropped or encrypted anew.
    pub const SECRETS: u32 = 64;
    /// Schedules were made, changed or dropped, or a run of one was asked for.
    pub const SCHEDULES: u32 = 256;
    /// Commands of schedules are to end.
    pub const COMMANDS: u32 = 512;
    /// Websockets are to be opened, changed or closed.
    pub const SOCKETS: u32 = 1024;
    /// Messages were queued for websockets.
    pub const MESSAGES: u32 = 2048;
    /// Functions have reported how their jobs ended.
    pub const JOBS: u32 = 4096;

    /// What is work for a dispatcher, also where there is none.
    pub(super) const WORK: u32 = CALLS | SCHEDULES | SOCKETS | MESSAGES;
}

thread_local! {
    static PENDING: Cell<u32> = const { Cell::new(0) };
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
}

/// Wakes this database's dispatcher if and when the running transaction commits.
pub fn at_commit(reasons: u32) {
    at_transaction_end();
    PENDING.set(PENDING.get() | reasons);
}

/// Has the end of the running transaction noticed.
pub fn at_transaction_end() {
    if !REGISTERED.replace(true) {
        // Registered once for the life of the process, not once a transaction: Postgres walks the whole list of
        // callbacks at every commit.
        // SAFETY: main thread; the callback is a function that lives as long as the library.
        unsafe { pg_sys::RegisterXactCallback(Some(on_transaction_end), std::ptr::null_mut()) };
    }
}

unsafe extern "C-unwind" fn on_transaction_end(event: pg_sys::XactEvent::Type, _arg: *mut std::ffi::c_void) {
    match event {
        // A prepared transaction wakes the dispatcher as well: it then knows of the ids that may still come.
        pg_sys::XactEvent::XACT_EVENT_COMMIT | pg_sys::XactEvent::XACT_EVENT_PREPARE => {
            step_aside::release();
            queued::committed();
            let reasons = PENDING.replace(0);
            if reasons != 0 {
                failpoint::hit("before_wake");
                wake(reasons);
            }
        }
        pg_sys::XactEvent::XACT_EVENT_ABORT => {
            step_aside::release();
            queued::rolled_back();
            PENDING.set(0);
        }
        _ => {}
    }
}

fn wake(reasons: u32) {
    let Some(entry) = entry_to_wake(reasons) else { return };
    // Only who brings a new reason has to set the latch: the dispatcher takes all that it can act on at once.
    if reasons & !entry.wake.fetch_or(reasons, Ordering::AcqRel) != 0 {
        set_latch_of(entry.pid.load(Ordering::Acquire));
    }
}

/// This database's entry, after a dispatcher was asked for where there is none: after CREATE EXTENSION, and in a
/// database that was made as a copy of one with the extension, which nobody has told the launcher of.
fn entry_to_wake(reasons: u32) -> Option<&'static Database> {
    let created = reasons & reason::CREATED != 0;
    let known = shared::database(my_database());
    if !created && known.is_some_and(|entry| entry.wanted.load(Ordering::Acquire) != wanted::NO) {
        return known;
    }
    if !created && reasons & reason::WORK == 0 {
        return known;
    }
    // Taking the lock cannot fail here: it is short, and nothing else is locked after the commit.
    let entry = shared::request(my_database(), if created { Ask::Anew } else { Ask::IfUnwanted })?;
    set_latch_of(shared::shared().launcher_pid.load(Ordering::Acquire));
    Some(entry)
}
