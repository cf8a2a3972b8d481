//! A row that was found, in place.

#![allow(unsafe_code, reason = "the bridge to Postgres' access methods")]

use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum};

use crate::error::Error;
use crate::store::table::Column;

/// A row while it is looked at.
pub struct Row<'a> {
    pub(super) relation: pg_sys::Relation,
    pub(super) slot: *mut pg_sys::TupleTableSlot,
    pub(super) columns: &'a [Column],
    pub(super) positions: &'a [usize],
}

impl Row<'_> {
    /// The value of a column, by its place among those that were asked for. One of another type is never read.
    pub fn get<T: FromDatum + IntoDatum>(&self, column: usize) -> Result<Option<T>, Error> {
        let datum = self.datum(column)?;
        if self.columns[column].1 != T::type_oid() {
            return Err(Error::Malformed);
        }
        // SAFETY: the datum is of the type's own SQL type and lives as long as the row is looked at; the value made of it
        // owns what it needs.
        Ok(datum.and_then(|datum| unsafe { T::from_datum(datum, false) }))
    }

    /// How many bytes a value of a type with a length has, without fetching it where it is stored out of line.
    pub fn bytes(&self, column: usize) -> Result<Option<usize>, Error> {
        let datum = self.datum(column)?;
        if !matches!(self.columns[column].1, pg_sys::BYTEAOID | pg_sys::TEXTOID) {
            return Err(Error::Malformed);
        }
        // SAFETY: the datum is a varlena; what is given counts its header of four bytes.
        Ok(datum.map(|datum| unsafe { pg_sys::toast_raw_datum_size(datum) }.saturating_sub(pg_sys::VARHDRSZ)))
    }

    /// Whether the transaction that runs now has written the row, or a subtransaction of it.
    pub fn is_of_running_transaction(&self) -> bool {
        let mut is_copy = false;
        // SAFETY: main thread, inside a transaction; the slot holds a row of a heap, whose header is read in place.
        unsafe {
            let tuple = pg_sys::ExecFetchSlotHeapTuple(self.slot, false, &mut is_copy);
            pg_sys::TransactionIdIsCurrentTransactionId((*(*tuple).t_data).t_choice.t_heap.t_xmin)
        }
    }

    pub(super) fn delete(&self) {
        // SAFETY: main thread, inside a transaction with an active snapshot, under which the row in the slot was found;
        // its table is locked for writing.
        unsafe {
            pg_sys::simple_table_tuple_delete(
                self.relation,
                &raw mut (*self.slot).tts_tid,
                pg_sys::GetActiveSnapshot(),
            );
        }
    }

    fn datum(&self, column: usize) -> Result<Option<pg_sys::Datum>, Error> {
        let position = *self.positions.get(column).ok_or(Error::Malformed)?;
        // SAFETY: all columns of the row in the slot have been taken apart, and positions are below their number.
        unsafe {
            let is_null = *(*self.slot).tts_isnull.add(position);
            Ok((!is_null).then(|| *(*self.slot).tts_values.add(position)))
        }
    }
}
