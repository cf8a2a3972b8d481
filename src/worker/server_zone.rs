//! The time zone of the server's configuration, for sessions that cannot know it: what their own settings say comes from
//! their database, their role or their driver.
//!
//! The launcher is connected to no database and belongs to no role, so nothing but the configuration has set its. It tells
//! the others through shared memory; until it does so, what the postmaster read when it started holds.

#![allow(unsafe_code, reason = "shared memory is declared to pgrx here, and the process' zone is read")]

use std::ffi::CStr;

use pgrx::lwlock::PgLwLock;
use pgrx::prelude::*;
use pgrx::{PGRXSharedMemory, pg_shmem_init};

/// The longest name that Postgres takes for a zone (`TZ_STRLEN_MAX`).
const LONGEST: usize = 255;

#[derive(Clone, Copy)]
struct Name {
    length: usize,
    bytes: [u8; LONGEST],
}

// SAFETY: plain bytes, guarded by a lock.
unsafe impl PGRXSharedMemory for Name {}

// SAFETY: the name is ours alone.
static ZONE: PgLwLock<Name> = unsafe { PgLwLock::new(c"pg_edge server zone") };

/// Asks Postgres for the memory while the server starts.
pub fn register() {
    pg_shmem_init!(ZONE = Name::of_this_process());
}

/// Tells the others which zone this process has. For the launcher.
pub fn publish() {
    let name = Name::of_this_process();
    if name.text() != ZONE.share().text() {
        *ZONE.exclusive() = name;
    }
}

/// The zone of the server's configuration.
pub fn name() -> String {
    ZONE.share().text().to_owned()
}

impl Name {
    fn of_this_process() -> Self {
        let mut name = Self { length: 0, bytes: [0; LONGEST] };
        // SAFETY: main thread; the zone lives as long as the process, and its name is a C string in it.
        let own = unsafe {
            let zone = pg_sys::session_timezone;
            if zone.is_null() { c"GMT" } else { CStr::from_ptr(pg_sys::pg_get_timezone_name(zone)) }
        };
        let own = own.to_bytes();
        name.length = own.len().min(LONGEST);
        name.bytes[..name.length].copy_from_slice(&own[..name.length]);
        name
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or("GMT")
    }
}
