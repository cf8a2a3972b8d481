//! Sessions that wait for something new of a call, its events or its end, and how the dispatcher tells them.
//!
//! Runs on main threads: [`Registration`] in backends, [`notify`] in the dispatcher.

use std::cell::LazyCell;
use std::collections::HashSet;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, Ordering};

use pgrx::prelude::*;

use super::latch::{is_alive, my_database, my_pid, set_latch_of};
use super::shared::shared;

/// One waiting session.
pub struct Waiter {
    /// Zero where the entry is free, negative while it is being filled in.
    pid: AtomicI32,
    database: AtomicU32,
    call: AtomicI64,
}

/// A session's entry; gone when dropped.
pub struct Registration(&'static Waiter);

const FILLING: i32 = -1;

impl Waiter {
    /// An entry that nobody uses.
    pub fn free() -> Self {
        Self { pid: AtomicI32::new(0), database: AtomicU32::new(0), call: AtomicI64::new(0) }
    }
}

impl Registration {
    /// Asks to be woken when there is something new of the call. Look at the call after this, not before. `None` when too many wait.
    pub fn new(call: i64) -> Option<Self> {
        let take = |waiter: &&Waiter, is_free: fn(i32) -> bool| {
            let holder = waiter.pid.load(Ordering::Acquire);
            is_free(holder) && waiter.pid.compare_exchange(holder, FILLING, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        // A session that died at once (FATAL) could not give its entry back. To ask who lives takes a lock that everybody
        // needs, so that is done only where nothing else is free.
        let is_dead = |holder: i32| holder > 0 && holder != my_pid() && !is_alive(holder);
        let entries = || shared().waiters.iter();
        let waiter = entries()
            .find(|waiter| take(waiter, |holder| holder == 0))
            .or_else(|| entries().find(|waiter| take(waiter, is_dead)))?;
        waiter.database.store(my_database().to_u32(), Ordering::Relaxed);
        waiter.call.store(call, Ordering::Relaxed);
        waiter.pid.store(my_pid(), Ordering::Release);
        Some(Self(waiter))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.0.pid.store(0, Ordering::Release);
    }
}

/// Wakes the sessions that wait for one of these calls of a database. Which they are is asked only where any waits.
pub fn notify(database: pg_sys::Oid, calls: impl FnOnce() -> HashSet<i64>) {
    let calls = LazyCell::new(calls);
    for waiter in &shared().waiters {
        let pid = waiter.pid.load(Ordering::Acquire);
        if pid > 0
            && waiter.database.load(Ordering::Relaxed) == database.to_u32()
            && calls.contains(&waiter.call.load(Ordering::Relaxed))
        {
            set_latch_of(pid);
        }
    }
}
