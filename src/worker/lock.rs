//! The two locks of a dispatcher: being the only one, and keeping the extension from being dropped under a turn. And how
//! sessions see that somebody wants the latter, and how they go one after the other.
//!
//! Runs on main threads.

#![allow(unsafe_code, reason = "pgrx has no wrapper for the lock manager")]

use std::cell::Cell;

use pgrx::prelude::*;

use super::latch::my_database;
use crate::store::table;

/// The fourth field of an advisory lock is 1 or 2 for those that SQL can take, so no user can take ours.
const NOT_FOR_SQL: u16 = 3;
/// What is locked: second fields of such tags.
const DISPATCHING: u32 = 0x6564_6765;
const OPENING: u32 = 0x6564_7773;
const DEFAULT_LOCKMETHOD: u8 = 1;
const USER_LOCKMETHOD: u8 = 2;

/// Becomes the only dispatcher of this database, for the life of the process. `false` if another one is.
pub fn become_the_dispatcher() -> bool {
    let tag = pg_sys::LOCKTAG {
        locktag_field1: my_database().to_u32(),
        locktag_field2: DISPATCHING,
        locktag_field3: 0,
        locktag_field4: NOT_FOR_SQL,
        locktag_type: pg_sys::LockTagType::LOCKTAG_ADVISORY as u8,
        locktag_lockmethodid: USER_LOCKMETHOD,
    };
    acquire(&tag, pg_sys::ExclusiveLock as i32, Held::BySession)
}

/// Waits until no other transaction opens a websocket of this role, and is the only one to do so until its own end.
pub fn be_the_only_one_to_open(owner: pg_sys::Oid) {
    let tag = pg_sys::LOCKTAG {
        locktag_field1: my_database().to_u32(),
        locktag_field2: OPENING,
        locktag_field3: owner.to_u32(),
        locktag_field4: NOT_FOR_SQL,
        locktag_type: pg_sys::LockTagType::LOCKTAG_ADVISORY as u8,
        locktag_lockmethodid: USER_LOCKMETHOD,
    };
    // SAFETY: main thread of a session, inside a transaction; the tag is complete. Waits as any statement does: it can be cancelled,
    // and two that wait for each other are found.
    unsafe { pg_sys::LockAcquire(&raw const tag, pg_sys::ExclusiveLock as i32, false, false) };
}

thread_local! {
    /// The extension that was held last, and the schema of its tables then.
    static HELD_LAST: Cell<Option<(pg_sys::Oid, pg_sys::Oid)>> = const { Cell::new(None) };
}

/// Keeps the extension in place until the running transaction ends. `false` if it is not there, or being dropped.
pub fn hold_extension() -> Hold {
    let known = HELD_LAST.get();
    let extension = known.map_or_else(extension, |(extension, _)| extension);
    if extension == pg_sys::InvalidOid {
        return Hold::Gone;
    }
    if !acquire(&tag_of(extension), pg_sys::AccessShareLock as i32, Held::ByTransaction) {
        return Hold::BeingChanged;
    }
    // SAFETY: main thread, inside a transaction. What was done to the extension before it was locked is known from here.
    unsafe { pg_sys::AcceptInvalidationMessages() };
    // Before the lock it may have been dropped, or replaced by another of its name. Its schema goes and comes with it, and
    // is found in the system cache, where an extension is not: that look-up would cost as much as the rest of a short turn.
    if known == Some((extension, table::schema())) {
        return Hold::Held(extension);
    }
    HELD_LAST.set(None);
    match self::extension() {
        found if found == extension => {
            HELD_LAST.set(Some((extension, table::schema())));
            Hold::Held(extension)
        }
        pg_sys::InvalidOid => Hold::Gone,
        _ => Hold::BeingChanged,
    }
}

/// Whether somebody is dropping or altering the extension, or waits for that.
///
/// A session that waits for the dispatcher has to look: whoever drops the extension waits for the session's locks, and lets the
/// dispatcher write nothing meanwhile that the session could wait for.
pub fn is_extension_changing() -> bool {
    let extension = extension();
    if extension == pg_sys::InvalidOid {
        return false;
    }
    let tag = tag_of(extension);
    let mode = pg_sys::AccessShareLock as i32;
    if !acquire(&tag, mode, Held::ByTransaction) {
        return true;
    }
    // SAFETY: main thread, inside a transaction that has just taken this lock. Kept, it would stand in the way itself.
    unsafe { pg_sys::LockRelease(&raw const tag, mode, false) };
    false
}

/// The extension as the catalogue names it now.
fn extension() -> pg_sys::Oid {
    // SAFETY: main thread, inside a transaction.
    unsafe { pg_sys::get_extension_oid(c"pg_edge".as_ptr(), true) }
}

fn tag_of(extension: pg_sys::Oid) -> pg_sys::LOCKTAG {
    pg_sys::LOCKTAG {
        locktag_field1: my_database().to_u32(),
        locktag_field2: pg_sys::ExtensionRelationId.to_u32(),
        locktag_field3: extension.to_u32(),
        locktag_field4: 0,
        locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
        locktag_lockmethodid: DEFAULT_LOCKMETHOD,
    }
}

/// What became of holding the extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It stays until the transaction ends.
    Held(pg_sys::Oid),
    /// Somebody is dropping or altering it; look again soon.
    BeingChanged,
    /// It is not installed.
    Gone,
}

#[derive(PartialEq, Eq)]
enum Held {
    BySession,
    ByTransaction,
}

fn acquire(tag: &pg_sys::LOCKTAG, mode: i32, held: Held) -> bool {
    // SAFETY: main thread, inside a transaction; the tag is complete. Does not wait.
    let result = unsafe { pg_sys::LockAcquire(tag, mode, held == Held::BySession, true) };
    result != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
}
