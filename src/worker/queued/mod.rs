//! The calls that the running transaction has queued, by role: whether one more is allowed, and what is added to the
//! shared count at the commit.
//!
//! Runs on the main thread of a backend. Nothing in the callbacks may fail: an error after the commit record would bring
//! the cluster down.

#![allow(unsafe_code, reason = "a subtransaction callback is a C function")]

pub(in crate::worker) mod counting;
pub mod quota;

use std::cell::Cell;
use std::collections::HashMap;

use pgrx::prelude::*;

use crate::domain::room::{Full, Room};
use crate::error::Error;
use crate::guc::Settings;
use crate::store::owner;
use crate::worker::latch::my_database;
use crate::worker::wake;

/// Calls of one role that one (sub)transaction has queued.
#[derive(Clone, Copy)]
struct Pending {
    /// How deep the subtransaction lies; 1 is the transaction itself.
    level: i32,
    role: pg_sys::Oid,
    calls: i64,
}

thread_local! {
    static PENDING: Cell<Vec<Pending>> = const { Cell::new(Vec::new()) };
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
}

/// Refuses a call of a role that has as many as it may. What other sessions have not committed yet does not count.
pub fn may_queue(role: pg_sys::Oid) -> Result<(), Error> {
    may_queue_all(role, 1)
}

/// The same for several calls at once.
pub fn may_queue_all(role: pg_sys::Oid, calls: u64) -> Result<(), Error> {
    let full = |Full { queued, limit }| Error::QueueFull { role: owner::name(role), queued, limit };
    room(role).take(calls).map_err(full)
}

/// How many more calls of a role may be queued now.
fn room(role: pg_sys::Oid) -> Room {
    let limit = Settings::max_queued_per_role();
    if limit == 0 {
        return Room::Endless;
    }
    let pending = PENDING.take();
    let here: i64 = pending.iter().filter(|entry| entry.role == role).map(|entry| entry.calls).sum();
    PENDING.set(pending);
    Room::Limited { queued: quota::of_role(my_database(), role).saturating_add(here.unsigned_abs()), limit }
}

/// The room of each role, for whoever decides about many calls before any of them is queued.
#[derive(Default)]
pub(in crate::worker) struct Rooms(HashMap<pg_sys::Oid, Room>);

impl Rooms {
    /// What is left to a role, all that was taken before gone from it.
    pub fn of(&mut self, role: pg_sys::Oid) -> &mut Room {
        self.0.entry(role).or_insert_with(|| room(role))
    }
}

/// Notes that a call was queued.
pub fn note(role: pg_sys::Oid) {
    wake::at_transaction_end();
    if !REGISTERED.replace(true) {
        // SAFETY: main thread; the callback is a function that lives as long as the library.
        unsafe { pg_sys::RegisterSubXactCallback(Some(on_subtransaction_end), std::ptr::null_mut()) };
    }
    // SAFETY: main thread, inside a transaction.
    let level = unsafe { pg_sys::GetCurrentTransactionNestLevel() };
    let mut pending = PENDING.take();
    add(&mut pending, Pending { level, role, calls: 1 });
    PENDING.set(pending);
}

/// The transaction has committed, or was prepared: its calls will be made.
pub fn committed() {
    let pending = PENDING.take();
    for entry in &pending {
        quota::add(my_database(), entry.role, entry.calls);
    }
}

/// The transaction was rolled back.
pub fn rolled_back() {
    PENDING.take();
}

unsafe extern "C-unwind" fn on_subtransaction_end(
    event: pg_sys::SubXactEvent::Type,
    _subtransaction: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _argument: *mut std::ffi::c_void,
) {
    let mut pending = PENDING.take();
    if !pending.is_empty() {
        // SAFETY: main thread, inside the subtransaction that ends.
        let ending = unsafe { pg_sys::GetCurrentTransactionNestLevel() };
        match event {
            pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB => pending.retain(|entry| entry.level < ending),
            pg_sys::SubXactEvent::SUBXACT_EVENT_COMMIT_SUB => {
                for entry in pending.extract_if(.., |entry| entry.level >= ending).collect::<Vec<_>>() {
                    add(&mut pending, Pending { level: ending - 1, ..entry });
                }
            }
            _ => {}
        }
    }
    PENDING.set(pending);
}

fn add(pending: &mut Vec<Pending>, new: Pending) {
    // The deepest stand last, and only one of them is the running one.
    match pending.iter_mut().rev().find(|entry| entry.role == new.role && entry.level == new.level) {
        Some(entry) => entry.calls += new.calls,
        None => pending.push(new),
    }
}
