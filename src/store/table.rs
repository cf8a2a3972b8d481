//! Rows straight into and out of the extension's own tables, without parser, planner and executor: for a statement of one
//! row those are most of its cost.
//!
//! How rows are written is in `rows`.
//!
//! Runs on the main thread, inside a transaction with an active snapshot. What INSERT does happens here as well: the table
//! is locked until the transaction ends, NOT NULL and CHECK constraints hold, every index gets its entry, and rows go
//! through the table's access method, from which TOAST, WAL, replication and statistics follow. Column defaults,
//! triggers, rights and row-level security do not: the tables are the extension's, which has none of the first two and
//! asks nobody but itself for the others. Search paths and operators play no part. Like SQL, it is to run as the
//! tables' owner.
//!
//! Nothing is closed when an error is raised in between: the end of the (sub)transaction does that, as it does for
//! Postgres' own code.

#![allow(unsafe_code, reason = "the bridge to Postgres' access methods")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CStr;
use std::ptr::null_mut;

use pgrx::prelude::*;
use pgrx::{IntoDatum, PgTupleDesc, direct_function_call};

pub use super::rows::Rows;
use crate::error::Error;

/// The schema of all our tables.
const SCHEMA: &CStr = c"edge_store";

/// The name and the type of a column.
pub type Column = (&'static CStr, pg_sys::Oid);

/// A value for a column; `None` is null.
pub type Value = Option<pg_sys::Datum>;

unsafe extern "C-unwind" {
    /// In commands/sequence.h, which pgrx does not read.
    fn nextval_internal(sequence: pg_sys::Oid, check_permissions: bool) -> i64;
}

/// A value as a table takes it.
pub fn value<T: IntoDatum>(value: T) -> Value {
    value.into_datum()
}

/// The next value of a sequence.
pub fn next_value(sequence: &'static CStr) -> Result<i64, Error> {
    let sequence = find(sequence)?;
    // SAFETY: main thread, inside a transaction; anything that is not a sequence raises an error, which the guard turns
    // into a panic as pgrx' own bindings do.
    Ok(unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| nextval_internal(sequence, false)) })
}

/// The last value that a sequence has handed out; `None` before the first.
///
/// Read by Postgres' own function, which holds the buffer's lock meanwhile. While `nextval` writes WAL, under that lock, the
/// page shows a value up to 32 too high; a SELECT from the sequence may see it, and ids would count as handed out that are not.
pub fn last_value(sequence: &'static CStr) -> Result<Option<i64>, Error> {
    let sequence = find(sequence)?;
    // SAFETY: main thread, inside a transaction; the function takes an oid and gives a bigint or null.
    Ok(unsafe { direct_function_call::<i64>(pg_sys::pg_sequence_last_value, &[sequence.into_datum()]) })
}

/// Two columns of the one row that a table has, both of types that are passed by value.
pub fn only_row(table: &'static CStr, columns: [Column; 2]) -> Result<[Value; 2], Error> {
    let table = find(table)?;
    // SAFETY: main thread, inside a transaction with an active snapshot. The relation stays open until its row has been
    // read, and no value is handed out that points into it.
    unsafe {
        let relation = pg_sys::try_relation_open(table, pg_sys::AccessShareLock as i32);
        if relation.is_null() {
            return Err(Error::NotInstalled);
        }
        let positions = positions(relation, &columns)?;
        if !positions.iter().all(|position| is_passed_by_value(relation, *position)) {
            return Err(Error::Malformed);
        }
        let snapshot = pg_sys::GetActiveSnapshot();
        let scan = pg_sys::systable_beginscan(relation, pg_sys::InvalidOid, false, snapshot, 0, null_mut());
        let row = pg_sys::systable_getnext(scan);
        let values = (!row.is_null()).then(|| {
            [positions[0], positions[1]].map(|position| {
                let mut is_null = false;
                let datum = pg_sys::heap_getattr(row, position as i32 + 1, (*relation).rd_att, &mut is_null);
                (!is_null).then_some(datum)
            })
        });
        pg_sys::systable_endscan(scan);
        pg_sys::relation_close(relation, pg_sys::AccessShareLock as i32);
        values.ok_or(Error::NotInstalled)
    }
}

thread_local! {
    /// Tables and sequences that were found, and in which schema of that name.
    static FOUND: RefCell<HashMap<&'static CStr, (pg_sys::Oid, pg_sys::Oid)>> = RefCell::default();
}

/// A table or sequence of ours. None changes its identity while the extension stays, and with the extension goes its
/// schema; whoever opens what is found still has to see whether it is there.
pub(super) fn find(name: &'static CStr) -> Result<pg_sys::Oid, Error> {
    let schema = schema();
    FOUND.with_borrow_mut(|found| {
        if let Some((_, relation)) = found.get(name).filter(|(known, _)| *known == schema) {
            return Ok(*relation);
        }
        // SAFETY: main thread, inside a transaction; the name is a C string.
        let relation = unsafe { pg_sys::get_relname_relid(name.as_ptr(), schema) };
        if relation == pg_sys::InvalidOid {
            return Err(Error::NotInstalled);
        }
        found.insert(name, (schema, relation));
        Ok(relation)
    })
}

/// The schema of our tables as it is now, from the system cache: the cost of a hash look-up. Invalid where there is none.
pub fn schema() -> pg_sys::Oid {
    // SAFETY: main thread, inside a transaction; the name is a C string.
    unsafe { pg_sys::get_namespace_oid(SCHEMA.as_ptr(), true) }
}

/// Where columns stand in a table. One that has another type is no column of ours. Fastest in the table's order.
///
/// # Safety
///
/// The relation must be open.
pub(super) unsafe fn positions(relation: pg_sys::Relation, wanted: &[Column]) -> Result<Vec<usize>, Error> {
    // SAFETY: the descriptor lives as long as the relation is open.
    let columns = unsafe { PgTupleDesc::from_pg_unchecked((*relation).rd_att) };
    let mut found = Vec::with_capacity(wanted.len());
    for column in wanted {
        let next = found.last().map_or(0, |last| last + 1);
        let position = (next..columns.len())
            .chain(0..next)
            .find(|position| columns.get(*position).is_some_and(|candidate| is(candidate, *column)));
        found.push(position.ok_or(Error::Malformed)?);
    }
    Ok(found)
}

fn is(candidate: &pg_sys::FormData_pg_attribute, (name, type_oid): Column) -> bool {
    // SAFETY: names of columns are C strings within their 64 bytes.
    let named = || unsafe { CStr::from_ptr(candidate.attname.data.as_ptr()) } == name;
    !candidate.attisdropped && candidate.atttypid == type_oid && named()
}

/// # Safety
///
/// The relation must be open.
unsafe fn is_passed_by_value(relation: pg_sys::Relation, position: usize) -> bool {
    // SAFETY: the descriptor lives as long as the relation is open.
    let columns = unsafe { PgTupleDesc::from_pg_unchecked((*relation).rd_att) };
    columns.get(position).is_some_and(|column| column.attbyval)
}
