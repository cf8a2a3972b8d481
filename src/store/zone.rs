//! Postgres' own time zones, as the domain reads them.
//!
//! Main thread only: the zones live in tables of the process that Postgres fills as they are asked for, and its functions
//! answer in static buffers, which are copied before anything else is asked. So a schedule sees the same clock as
//! `AT TIME ZONE` does in its owner's queries, and follows the server's updates.

#![allow(unsafe_code, reason = "pgrx has no wrapper for Postgres' time zones")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CString, c_int, c_long};
use std::ptr::NonNull;

use pgrx::prelude::*;

use super::statement::statements;
use crate::domain::schedule::zone::{Span, Zone};
use crate::error::Error;

/// A change of a zone may leave its offset as it was: only the name of the time changes. No zone has as many of them in a
/// row as this; the bound is there so that no table can make a search endless.
const CHANGES_IN_NAME: usize = 64;

/// A time zone of this server.
#[derive(Clone, Copy, Debug)]
pub struct PgZone(NonNull<pg_sys::pg_tz>);

statements! {
    // Reads every file of the tables, which takes tens of milliseconds.
    NAMES() = "select name from pg_catalog.pg_timezone_names";
}

thread_local! {
    /// The names that there are, in lower case, and how they are spelled: read once in the life of a process.
    static KNOWN: RefCell<HashMap<String, String>> = RefCell::new(HashMap::new());
}

/// The name of a zone as `pg_timezone_names` spells it. `None` where it is not there: abbreviations and POSIX rules, which
/// Postgres takes elsewhere, stand for an offset and know nothing of the changes of any place.
pub fn canonical(name: &str) -> Result<Option<String>, Error> {
    let key = name.to_ascii_lowercase();
    if KNOWN.with_borrow(|known| known.is_empty()) {
        let names = names()?;
        KNOWN.with_borrow_mut(|known| known.extend(names.into_iter().map(|name| (name.to_ascii_lowercase(), name))));
    }
    Ok(KNOWN.with_borrow(|known| known.get(&key).cloned()))
}

fn names() -> Result<Vec<String>, Error> {
    Spi::connect(|client| {
        let rows = NAMES.with(|statement| statement.read(client, &[]))?;
        rows.map(|row| row.get::<String>(1)?.ok_or(Error::Malformed)).collect()
    })
}

impl PgZone {
    /// The zone of a name that [`canonical`] has given. `None` where the server's tables no longer have it.
    pub fn find(name: &str) -> Option<Self> {
        let name = CString::new(name).ok()?;
        // SAFETY: main thread; a C string. Postgres keeps the zone for the life of the process.
        NonNull::new(unsafe { pg_sys::pg_tzset(name.as_ptr()) }).map(Self)
    }

    /// Seconds east of UTC. `None` in years that Postgres' calendar does not have.
    fn offset(self, at: i64) -> Option<i32> {
        // SAFETY: main thread; the zone lives as long as the process, and the static buffer is read at once.
        let offset = unsafe { pg_sys::pg_localtime(&at, self.0.as_ptr()).as_ref() }?.tm_gmtoff;
        i32::try_from(offset).ok()
    }

    /// The next change after a time, and the offset from then on.
    fn change(self, at: i64) -> Option<(i64, i32)> {
        let (mut boundary, mut before, mut after): (i64, c_long, c_long) = (0, 0, 0);
        let (mut was_summer, mut is_summer): (c_int, c_int) = (0, 0);
        // SAFETY: main thread; the zone lives as long as the process, and all pointers are those of live locals.
        let found = unsafe {
            pg_sys::pg_next_dst_boundary(
                &at,
                &mut before,
                &mut was_summer,
                &mut boundary,
                &mut after,
                &mut is_summer,
                self.0.as_ptr(),
            )
        };
        // What does not lead on would have a search stand still.
        (found == 1 && boundary > at).then_some((boundary, i32::try_from(after).ok()?))
    }
}

impl Zone for PgZone {
    fn span(&self, at: i64) -> Span {
        let Some(offset) = self.offset(at) else { return Span { offset: 0, until: None } };
        let mut until = None;
        let mut seen = at;
        for _ in 0..CHANGES_IN_NAME {
            let Some((boundary, after)) = self.change(seen) else { return Span { offset, until: None } };
            until = Some(boundary);
            if after != offset {
                break;
            }
            seen = boundary;
        }
        Span { offset, until }
    }
}
