//! The signals of a worker's main thread: stop, and read the configuration again.

#![allow(unsafe_code, reason = "pgrx has no wrapper for it")]

use pgrx::bgworkers::{BackgroundWorker, SignalWakeFlags};
use pgrx::prelude::*;

use crate::store::transaction::guarded;

/// What has been asked of the worker by signal. Asked to stop once, it stays asked.
#[derive(Debug, Default)]
pub struct Signals {
    stop: bool,
}

impl Signals {
    /// Takes over SIGTERM and SIGHUP.
    pub fn attach() -> Self {
        BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGTERM | SignalWakeFlags::SIGHUP);
        // A SIGHUP between fork and here would be lost, so read once at any rate.
        reload();
        Self::default()
    }

    /// Whether the worker is to stop.
    pub fn stop(&mut self) -> bool {
        // pgrx forgets the signal when asked, so it is remembered here.
        self.stop |= BackgroundWorker::sigterm_received();
        self.stop
    }

    /// Reads the configuration again if that was asked for; tells whether it was.
    pub fn reloaded(&self) -> bool {
        let asked = BackgroundWorker::sighup_received();
        if asked {
            reload();
        }
        asked
    }
}

/// Reads the configuration anew where it has changed since.
pub fn reload_if_asked() {
    if reload_is_due() {
        reload();
    }
}

/// Whether the configuration has changed since it was read.
pub fn reload_is_due() -> bool {
    // SAFETY: main thread, whose signal handler sets it; read anew each time.
    unsafe { (&raw const pg_sys::ConfigReloadPending).read_volatile() != 0 }
}

fn reload() {
    // It may log a line, and logging may raise a pending cancel.
    let _cancelled = guarded(|| {
        // SAFETY: main thread, outside a transaction.
        unsafe {
            pg_sys::ConfigReloadPending = 0;
            pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
        }
    });
}

/// Ends the process so that Postgres, or the launcher, starts it again if it should.
#[allow(unreachable_code, reason = "the bindings of some majors do not say that it never returns")]
pub fn exit() -> ! {
    // SAFETY: main thread; runs Postgres' exit callbacks.
    unsafe { pg_sys::proc_exit(1) };
    // Postgres declares proc_exit as one that never returns, and it ends in exit(3).
    unreachable!("proc_exit does not return")
}
