//! The settings that a session of a role begins with, for a process that had to connect as another one.
//!
//! Connecting applies what ALTER ROLE has set for the role that connects. All of that is taken back: the process's settings
//! are made again what they were when it was forked, and then what is set for the role itself and for everybody is applied.
//! Runs on the main thread of its process, before anything of a user's runs there.

#![allow(unsafe_code, reason = "pgrx has no wrapper for the settings of roles")]

use pgrx::prelude::*;

/// `pg_db_role_setting`, of which pgrx does not know.
const ROLE_SETTINGS: u32 = 2964;

unsafe extern "C-unwind" {
    fn ApplySetting(
        snapshot: pg_sys::Snapshot,
        database: pg_sys::Oid,
        role: pg_sys::Oid,
        settings: pg_sys::Relation,
        source: pg_sys::GucSource::Type,
    );
}

/// What is set before a process connects: what the server was started with, and what its files say.
pub struct Unconnected(Vec<u8>);

impl Unconnected {
    /// Notes it. To be called before connecting.
    pub fn note() -> Self {
        // SAFETY: main thread. Postgres writes no more than the size that it is given, and that is the size of the vector.
        unsafe {
            let size = pg_sys::EstimateGUCStateSpace();
            let mut state = vec![0; size];
            pg_sys::SerializeGUCState(size, state.as_mut_ptr().cast());
            Self(state)
        }
    }

    /// Has the session begin as if the role itself had connected. Inside a transaction.
    pub fn become_those_of(mut self, database: pg_sys::Oid, role: pg_sys::Oid) {
        // SAFETY: main thread, inside a transaction that has changed no setting. It is what a parallel worker does with the
        // settings of its leader, and the bytes are those that Postgres has written in this process.
        unsafe {
            pg_sys::RestoreGUCState(self.0.as_mut_ptr().cast());
            // What connecting itself has set, where nothing else is said.
            pg_sys::SetConfigOption(
                c"client_encoding".as_ptr(),
                pg_sys::GetDatabaseEncodingName(),
                pg_sys::GucContext::PGC_BACKEND,
                pg_sys::GucSource::PGC_S_DYNAMIC_DEFAULT,
            );
        }
        apply(database, role);
    }
}

/// Applies what is set for the role and the database, as Postgres does when a session begins.
fn apply(database: pg_sys::Oid, role: pg_sys::Oid) {
    use pg_sys::GucSource::{PGC_S_DATABASE, PGC_S_DATABASE_USER, PGC_S_GLOBAL, PGC_S_USER};
    let (all, everybody) = (pg_sys::InvalidOid, pg_sys::InvalidOid);
    // SAFETY: main thread, inside a transaction; the relation and the snapshot are given back here, or by the abort.
    unsafe {
        let relation = pg_sys::Oid::from(ROLE_SETTINGS);
        let settings = pg_sys::table_open(relation, pg_sys::AccessShareLock as i32);
        let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetCatalogSnapshot(relation));
        // What was set for less may not take the place of what was set for more, so the narrowest comes first.
        for (database, role, source) in [
            (database, role, PGC_S_DATABASE_USER),
            (all, role, PGC_S_USER),
            (database, everybody, PGC_S_DATABASE),
            (all, everybody, PGC_S_GLOBAL),
        ] {
            pg_sys::ffi::pg_guard_ffi_boundary(|| ApplySetting(snapshot, database, role, settings, source));
        }
        pg_sys::UnregisterSnapshot(snapshot);
        pg_sys::table_close(settings, pg_sys::AccessShareLock as i32);
    }
}
