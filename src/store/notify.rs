//! Telling the sessions that listen.
//!
//! Runs on the main thread, inside a transaction: they are told once it commits.

use pgrx::direct_function_call;
use pgrx::prelude::*;

use super::table::value;
use crate::failpoint;

/// Nobody is told any more once the queue that all notifications share is as full as this. A full one fails commits.
const FULLEST_QUEUE: f64 = 0.5;

/// Whether those who listen have been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    All,
    /// The server's queue of notifications is too full.
    Nobody,
}

/// Tells them something each. It never makes the commit fail: where the queue that all notifications of the server share
/// runs full, nobody is told.
#[allow(unsafe_code, reason = "pgrx has no wrapper for it")]
pub fn send(channel: &str, payloads: impl Iterator<Item = String>) -> Told {
    if queue_usage() > FULLEST_QUEUE {
        return Told::Nobody;
    }
    for payload in payloads {
        // SAFETY: main thread, inside a transaction; the function takes two texts, which it copies, and gives nothing.
        unsafe { direct_function_call::<()>(pg_sys::pg_notify, &[value(channel), value(payload)]) };
    }
    Told::All
}

/// How full the queue is, from 0 to 1.
#[allow(unsafe_code, reason = "pgrx has no wrapper for it")]
fn queue_usage() -> f64 {
    // Gigabytes of notifications would have to be sent to fill it.
    if failpoint::stands("full_notification_queue") {
        return 0.51;
    }
    // SAFETY: main thread, inside a transaction; the function takes nothing and gives a double.
    let used = unsafe { direct_function_call::<f64>(pg_sys::pg_notification_queue_usage, &[]) };
    used.unwrap_or(0.0)
}
