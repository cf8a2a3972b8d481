//! Rows of the extension's own tables by their primary key, straight from its index: no parser, planner and executor.
//!
//! Runs on the main thread, inside a transaction with an active snapshot, which decides what is visible. The table is
//! locked as by SELECT until the transaction ends. Rights and row-level security are not asked: whoever calls has decided
//! what may be read. What is said in `table` of errors holds here as well.

#![allow(unsafe_code, reason = "the bridge to Postgres' access methods")]

mod row;

use std::ffi::CStr;
use std::ops::ControlFlow;
use std::ptr::null_mut;

use pgrx::prelude::*;
use pgrx::{IntoDatum, PgTupleDesc};

pub use self::row::Row;
use super::table::{Column, find, positions};
use crate::error::Error;

/// What `read` makes of the first row whose key begins with a number.
pub fn first<T>(
    table: &'static CStr,
    key: i64,
    columns: &[Column],
    read: impl Fn(&Row<'_>) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let mut found = None;
    visit_range(table, (key, key), columns, |row| {
        found = Some(read(row)?);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

/// Shows `visitor` the rows whose key begins with a number from `first` to `last`, lowest first, until it breaks.
pub fn visit_range(
    table: &'static CStr,
    (first, last): (i64, i64),
    columns: &[Column],
    visitor: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, Error>,
) -> Result<(), Error> {
    visit(table, pg_sys::AccessShareLock, &between(first, last), columns, visitor)
}

/// The same for the rows whose key begins with this number and goes on with one beyond `after`, the second one rising.
pub fn visit_after(
    table: &'static CStr,
    (key, after): (i64, i64),
    columns: &[Column],
    visitor: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, Error>,
) -> Result<(), Error> {
    let conditions = [
        Condition::number(1, pg_sys::BTEqualStrategyNumber, pg_sys::F_INT8EQ, key),
        Condition::number(2, pg_sys::BTGreaterStrategyNumber, pg_sys::F_INT8GT, after),
    ];
    visit(table, pg_sys::AccessShareLock, &conditions, columns, visitor)
}

/// What `read` makes of the row whose key is a name.
pub fn named<T>(
    table: &'static CStr,
    name: &str,
    columns: &[Column],
    read: impl Fn(&Row<'_>) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let mut found = None;
    let value = name.into_datum().ok_or(Error::Malformed)?;
    let (strategy, function) = (pg_sys::BTEqualStrategyNumber, pg_sys::F_TEXTEQ);
    let condition = Condition { column: 1, strategy, function, type_oid: pg_sys::TEXTOID, value };
    visit(table, pg_sys::AccessShareLock, &[condition], columns, |row| {
        found = Some(read(row)?);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

/// What a column of the key must be, counted from 1.
struct Condition {
    column: usize,
    strategy: u32,
    function: u32,
    type_oid: pg_sys::Oid,
    value: pg_sys::Datum,
}

impl Condition {
    fn number(column: usize, strategy: u32, function: u32, value: i64) -> Self {
        Self { column, strategy, function, type_oid: pg_sys::INT8OID, value: pg_sys::Datum::from(value) }
    }
}

/// The key's first column lies in a range.
fn between(first: i64, last: i64) -> [Condition; 2] {
    [
        Condition::number(1, pg_sys::BTGreaterEqualStrategyNumber, pg_sys::F_INT8GE, first),
        Condition::number(1, pg_sys::BTLessEqualStrategyNumber, pg_sys::F_INT8LE, last),
    ]
}

fn visit(
    table: &'static CStr,
    lock: u32,
    conditions: &[Condition],
    columns: &[Column],
    mut visitor: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, Error>,
) -> Result<(), Error> {
    let table = find(table)?;
    // SAFETY: main thread, inside a transaction with an active snapshot. Slot, scan and relations are closed in the
    // order in which Postgres' executor closes them, and not used after that; the keys outlive the scan.
    unsafe {
        let relation = pg_sys::try_table_open(table, lock as i32);
        if relation.is_null() {
            return Err(Error::NotInstalled);
        }
        // Most slots of a young ring, and most small tables, have never held a row.
        if pg_sys::RelationGetNumberOfBlocksInFork(relation, pg_sys::ForkNumber::MAIN_FORKNUM) > 0 {
            let positions = positions(relation, columns)?;
            let index = pg_sys::index_open(primary_key(relation), pg_sys::AccessShareLock as i32);
            let slot = pg_sys::table_slot_create(relation, null_mut());
            let mut keys = scan_keys(index, conditions)?;
            let number = keys.len() as i32;
            let scan = begin(relation, index, number);
            pg_sys::index_rescan(scan, keys.as_mut_ptr(), number, null_mut(), 0);
            while pg_sys::index_getnext_slot(scan, pg_sys::ScanDirection::ForwardScanDirection, slot) {
                pg_sys::slot_getsomeattrs_int(slot, i32::from((*(*slot).tts_tupleDescriptor).natts as i16));
                if visitor(&Row { relation, slot, columns, positions: &positions })?.is_break() {
                    break;
                }
            }
            pg_sys::index_endscan(scan);
            pg_sys::ExecDropSingleTupleTableSlot(slot);
            pg_sys::index_close(index, pg_sys::NoLock as i32);
        }
        pg_sys::table_close(relation, pg_sys::NoLock as i32);
    }
    Ok(())
}

/// Deletes the rows that have one of these keys. Nobody else may change them meanwhile.
pub fn delete(table: &'static CStr, keys: &[i64]) -> Result<(), Error> {
    for key in keys {
        visit(table, pg_sys::RowExclusiveLock, &between(*key, *key), &[], |row| {
            row.delete();
            Ok(ControlFlow::Continue(()))
        })?;
    }
    // SAFETY: main thread, inside a transaction.
    unsafe { pg_sys::CommandCounterIncrement() };
    Ok(())
}

/// # Safety
///
/// The relation must be open.
unsafe fn primary_key(relation: pg_sys::Relation) -> pg_sys::Oid {
    // SAFETY: as the caller promises.
    unsafe {
        #[cfg(feature = "pg18")]
        let index = pg_sys::RelationGetPrimaryKeyIndex(relation, false);
        #[cfg(not(feature = "pg18"))]
        let index = pg_sys::RelationGetPrimaryKeyIndex(relation);
        index
    }
}

/// # Safety
///
/// Both must be open, and a snapshot active.
unsafe fn begin(relation: pg_sys::Relation, index: pg_sys::Relation, keys: i32) -> pg_sys::IndexScanDesc {
    // SAFETY: as the caller promises.
    unsafe {
        let snapshot = pg_sys::GetActiveSnapshot();
        #[cfg(feature = "pg18")]
        let scan = pg_sys::index_beginscan(relation, index, snapshot, null_mut(), keys, 0);
        #[cfg(not(feature = "pg18"))]
        let scan = pg_sys::index_beginscan(relation, index, snapshot, keys, 0);
        scan
    }
}

/// The keys of a scan for rows that meet all conditions.
///
/// # Safety
///
/// The index must be open.
unsafe fn scan_keys(index: pg_sys::Relation, conditions: &[Condition]) -> Result<Vec<pg_sys::ScanKeyData>, Error> {
    // SAFETY: the descriptor lives as long as the index is open, and so do the collations of its columns. The comparisons are
    // those of the type that each of these columns is said to have.
    unsafe {
        let columns = PgTupleDesc::from_pg_unchecked((*index).rd_att);
        let key_of = |condition: &Condition| {
            let column = columns.get(condition.column - 1).ok_or(Error::Malformed)?;
            if column.atttypid != condition.type_oid {
                return Err(Error::Malformed);
            }
            let mut key = pg_sys::ScanKeyData::default();
            pg_sys::ScanKeyEntryInitialize(
                &mut key,
                0,
                condition.column as i16,
                condition.strategy as u16,
                pg_sys::InvalidOid,
                // Names are in the order of the index's own collation.
                *(*index).rd_indcollation.add(condition.column - 1),
                condition.function.into(),
                condition.value,
            );
            Ok(key)
        };
        conditions.iter().map(key_of).collect()
    }
}
