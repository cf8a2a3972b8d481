//! Of which table a partition's trigger is: a partition has a clone of each of its parent's triggers for rows.

#![allow(unsafe_code, reason = "pgrx has no wrapper for it")]

use pgrx::prelude::*;

/// The table that a trigger was made for: where it is a clone, that of the topmost one. `None` where it is not to be found.
///
/// Read as Postgres reads its catalogs, by a snapshot of now: a transaction whose own is older writes into a partition that was
/// made since, of whose trigger its statements see nothing.
pub fn root(trigger: pg_sys::Oid) -> Option<pg_sys::Oid> {
    // SAFETY: main thread, inside a transaction. The catalog is closed again, by the abort if an error is raised.
    unsafe {
        let triggers = pg_sys::table_open(pg_sys::TriggerRelationId, pg_sys::AccessShareLock as i32);
        let root = climb(triggers, trigger);
        pg_sys::table_close(triggers, pg_sys::AccessShareLock as i32);
        root
    }
}

/// # Safety
///
/// Main thread, inside a transaction, with `pg_trigger` open.
unsafe fn climb(triggers: pg_sys::Relation, mut trigger: pg_sys::Oid) -> Option<pg_sys::Oid> {
    loop {
        // SAFETY: as the caller promises. A tuple of pg_trigger begins as FormData_pg_trigger, and is a copy.
        let (parent, relation) = unsafe {
            let tuple = pg_sys::get_catalog_object_by_oid(triggers, pg_sys::Anum_pg_trigger_oid as i16, trigger);
            if tuple.is_null() {
                return None;
            }
            let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_trigger>();
            ((*form).tgparentid, (*form).tgrelid)
        };
        if parent == pg_sys::InvalidOid {
            return Some(relation);
        }
        trigger = parent;
    }
}
