//! Being interrupted like a session: by signals, and by limits of time.
//!
//! Runs on the main thread of a process that runs what users wrote, and in its signal handlers.

#![allow(unsafe_code, reason = "signals and timeouts are Postgres' own, and pgrx has no wrapper for them")]

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use pgrx::prelude::*;

use super::latch::Waker;

unsafe extern "C-unwind" {
    // Signal handlers are given to Postgres as they are, so without pgrx' guards around them.
    fn die(signal: i32);
    fn SignalHandlerForConfigReload(signal: i32);
    fn RegisterTimeout(id: i32, handler: unsafe extern "C-unwind" fn()) -> i32;
    fn enable_timeout_after(id: i32, delay_ms: i32);
    fn disable_timeout(id: i32, keep_indicator: bool);
}

/// `STATEMENT_TIMEOUT` of Postgres' enum TimeoutId, the same in all versions supported.
const STATEMENT_TIMEOUT: i32 = 3;

/// More than any timeout of Postgres' own, in every version: it is given the next number that is free.
const ONE_OF_OURS: i32 = 1000;

/// Has the process interrupted at once, in the middle of a statement. A cancel comes as Postgres has set it up.
pub fn take_signals() {
    // SAFETY: main thread, before any statement runs; both handlers are Postgres' own.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        {
            pg_sys::pqsignal(pg_sys::SIGTERM as i32, Some(die));
            pg_sys::pqsignal(pg_sys::SIGHUP as i32, Some(SignalHandlerForConfigReload));
        }
        #[cfg(feature = "pg18")]
        {
            pg_sys::pqsignal_be(pg_sys::SIGTERM as i32, Some(die));
            pg_sys::pqsignal_be(pg_sys::SIGHUP as i32, Some(SignalHandlerForConfigReload));
        }
        pg_sys::BackgroundWorkerUnblockSignals();
    }
}

/// Limits the time until [`unlimit_time`], as `statement_timeout` does.
pub fn limit_time(timeout: Duration) {
    // SAFETY: main thread; the timeout is registered in every process that is connected to a database.
    unsafe { enable_timeout_after(STATEMENT_TIMEOUT, millis(timeout)) };
}

/// Ends that limit, or does nothing where there is none.
pub fn unlimit_time() {
    // SAFETY: as above.
    unsafe { disable_timeout(STATEMENT_TIMEOUT, false) };
}

/// A limit that holds across statements and transactions. There is one a process.
pub struct Limit(i32);

static EXPIRED: AtomicBool = AtomicBool::new(false);
static REGISTERED: AtomicI32 = AtomicI32::new(-1);

impl Limit {
    /// Begins to count. When the time is up, what runs then is cancelled.
    pub fn begin(timeout: Duration) -> Self {
        let mut id = REGISTERED.load(Ordering::Relaxed);
        // SAFETY: main thread, connected; the handler lives as long as the library and may run at any point.
        unsafe {
            if id < 0 {
                id = RegisterTimeout(ONE_OF_OURS, expire);
                REGISTERED.store(id, Ordering::Relaxed);
            }
            enable_timeout_after(id, millis(timeout));
        }
        Self(id)
    }

    /// Whether the time was up.
    pub fn has_expired(&self) -> bool {
        EXPIRED.load(Ordering::Relaxed)
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        // SAFETY: main thread.
        unsafe { disable_timeout(self.0, false) };
    }
}

/// Runs in a signal handler: it may set variables and the latch, and nothing else.
unsafe extern "C-unwind" fn expire() {
    EXPIRED.store(true, Ordering::Relaxed);
    // SAFETY: two flags that Postgres' own handlers set in the same way, and a latch that may be set at any point.
    unsafe {
        pg_sys::QueryCancelPending = 1;
        pg_sys::InterruptPending = 1;
    }
    Waker::of_this_process().wake();
}

/// Forgets a cancel that has come too late for what it was meant to end.
pub fn forget_cancel() {
    // SAFETY: main thread; Postgres itself does the same before it reads a session's next statement.
    unsafe { pg_sys::QueryCancelPending = 0 };
}

fn millis(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
}
