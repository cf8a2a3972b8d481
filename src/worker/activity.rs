//! What a worker shows in pg_stat_activity, and its statistics for autovacuum.
//!
//! Runs on the main thread of a worker.

#![allow(unsafe_code, reason = "pgrx has no wrapper for it")]

use std::ffi::CString;

use pgrx::prelude::*;

/// Whether a worker is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It does something.
    Busy,
    /// It waits for something to do.
    Idle,
}

/// Shows what the worker does.
pub fn show(activity: Activity, text: &str) {
    let state = match activity {
        Activity::Busy => pg_sys::BackendState::STATE_RUNNING,
        Activity::Idle => pg_sys::BackendState::STATE_IDLE,
    };
    let Ok(text) = CString::new(text) else { return };
    // SAFETY: main thread; Postgres copies the text.
    unsafe { pg_sys::pgstat_report_activity(state, text.as_ptr()) };
}

/// Flushes table statistics. Without it autovacuum is blind to what the worker writes. Outside a transaction only.
pub fn flush_statistics(activity: Activity) {
    // SAFETY: main thread, outside a transaction. Unforced, it does nothing more often than once a second.
    unsafe { pg_sys::pgstat_report_stat(activity == Activity::Idle) };
}
