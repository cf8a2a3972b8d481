//! Latches: waiting on our own, and setting it or another process's.
//!
//! [`Waker::wake`] is the only thing in pg_edge that calls Postgres off the main thread. Everything else here runs on
//! the main thread.

#![allow(unsafe_code, reason = "the bridge between the engine's thread and Postgres")]

use std::time::Duration;

use pgrx::prelude::*;

use crate::store::transaction::{Aborted, guarded};

unsafe extern "C-unwind" {
    /// Postgres' own, without the thread check that pgrx wraps around it.
    #[link_name = "SetLatch"]
    fn set_latch_unguarded(latch: *mut pg_sys::Latch);
}

/// Sets the latch of the process that made it, from any of its threads.
#[derive(Clone, Copy)]
pub struct Waker(*mut pg_sys::Latch);

// SAFETY: the pointer leads to the process's own latch in shared memory, which lives as long as the process; the one
// thing done with it, SetLatch, is documented as callable from a signal handler at any point, so it takes no lock,
// raises no error and touches nothing but the latch, with barriers on both sides.
unsafe impl Send for Waker {}
// SAFETY: as above.
unsafe impl Sync for Waker {}

impl Waker {
    /// Captures the latch of this process. Main thread only.
    pub fn of_this_process() -> Self {
        // SAFETY: a variable of the process, set before any of our code runs.
        Self(unsafe { pg_sys::MyLatch })
    }

    /// Wakes the main thread. Any thread.
    pub fn wake(&self) {
        // SAFETY: see the argument for Send.
        unsafe { set_latch_unguarded(self.0) };
    }
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The latch was set, or the time was up.
    Up,
    /// The postmaster is gone; this process must go too.
    Orphaned,
}

/// Waits until the latch is set or the time is up, and serves interrupts. The latch is reset on return, so look for
/// work after this, not before.
pub fn wait(timeout: Duration) -> Result<Woken, Aborted> {
    guarded(|| {
        let millis = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX).min(i32::MAX.into());
        let flags = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_POSTMASTER_DEATH;
        // SAFETY: main thread; MyLatch is this process's own latch.
        let events = unsafe {
            let events = pg_sys::WaitLatch(pg_sys::MyLatch, flags as i32, millis, pg_sys::PG_WAIT_EXTENSION);
            pg_sys::ResetLatch(pg_sys::MyLatch);
            events
        };
        pgrx::check_for_interrupts!();
        if events & pg_sys::WL_POSTMASTER_DEATH as i32 != 0 { Woken::Orphaned } else { Woken::Up }
    })
}

/// What a session has waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// The latch was set.
    Woken,
    /// The time was up.
    InVain,
}

/// Waits in a session of a user's until the latch is set or the time is up. A cancel or a timeout raises its error.
pub fn wait_in_session(timeout: Duration) -> Waited {
    let millis = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX).min(i32::MAX.into());
    let flags = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    // SAFETY: main thread; MyLatch is this process's own latch.
    let events = unsafe {
        let events = pg_sys::WaitLatch(pg_sys::MyLatch, flags as i32, millis, pg_sys::PG_WAIT_EXTENSION);
        pg_sys::ResetLatch(pg_sys::MyLatch);
        events
    };
    pgrx::check_for_interrupts!();
    if events & pg_sys::WL_LATCH_SET as i32 == 0 { Waited::InVain } else { Waited::Woken }
}

/// Sets the latch of another process. A pid that is gone is no error.
pub fn set_latch_of(pid: i32) {
    if pid <= 0 {
        return;
    }
    // SAFETY: main thread. Entries of the process array are never freed, so at worst a newcomer that got the same
    // entry is woken for nothing.
    unsafe {
        let process = pg_sys::BackendPidGetProc(pid);
        if !process.is_null() {
            pg_sys::SetLatch(&raw mut (*process).procLatch);
        }
    }
}

/// Whether a process with this pid is connected to the cluster.
pub fn is_alive(pid: i32) -> bool {
    // SAFETY: main thread; the result is only compared.
    pid > 0 && unsafe { !pg_sys::BackendPidGetProc(pid).is_null() }
}

/// The pid of this process.
pub fn my_pid() -> i32 {
    // SAFETY: a plain variable of the process.
    unsafe { pg_sys::MyProcPid }
}

/// The database that this process is connected to.
pub fn my_database() -> pg_sys::Oid {
    // SAFETY: a plain variable of the process.
    unsafe { pg_sys::MyDatabaseId }
}
