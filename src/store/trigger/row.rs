//! A row of a user's table, as a trigger sees it: its values, next to those that it had.

#![allow(unsafe_code, reason = "the bridge to Postgres' rows")]

use std::ffi::{CStr, c_int};
use std::marker::PhantomData;

use pgrx::prelude::*;
use pgrx::{PgTupleDesc, varsize_any};

unsafe extern "C-unwind" {
    /// In utils/datum.h, which pgrx does not read.
    fn datum_image_eq(one: pg_sys::Datum, other: pg_sys::Datum, by_value: bool, length: c_int) -> bool;
}

/// A row.
#[derive(Clone, Copy)]
pub struct Row<'call> {
    pub(super) tuple: pg_sys::HeapTuple,
    pub(super) descriptor: pg_sys::TupleDesc,
    call: PhantomData<&'call ()>,
}

/// The values of a row.
pub(super) struct Values {
    pub(super) datums: Vec<pg_sys::Datum>,
    pub(super) nulls: Vec<bool>,
}

impl<'call> Row<'call> {
    /// `None` without a tuple. It and the descriptor, which is that of the tuple's table, live as long as the call.
    pub(super) fn of(tuple: pg_sys::HeapTuple, descriptor: pg_sys::TupleDesc) -> Option<Self> {
        (!tuple.is_null()).then_some(Self { tuple, descriptor, call: PhantomData })
    }

    /// Whether one of these columns, or any at all, has another value than in the other row of the same table. Values are the
    /// same if they are stored as the same bytes. A column that the table does not have any more, since it was renamed or dropped,
    /// may have changed for all that is known: better to tell of too much than to be silent for ever.
    pub fn differs(&self, other: &Self, columns: Option<&[String]>) -> bool {
        if columns.is_some_and(|columns| !columns.iter().all(|name| self.has(name))) {
            return true;
        }
        let (mine, others) = (self.values(), other.values());
        self.columns().iter().enumerate().any(|(place, column)| {
            let is_asked_for = || columns.is_none_or(|columns| columns.iter().any(|name| is_named(column, name)));
            !column.attisdropped && is_asked_for() && !mine.same(&others, place, column)
        })
    }

    /// Whether rows of the table have a column of this name. Of one that is computed when it is read, nothing is known here.
    pub fn has(&self, name: &str) -> bool {
        self.columns().iter().any(|column| !column.attisdropped && !is_virtual(column) && is_named(column, name))
    }

    pub(super) fn columns(&self) -> PgTupleDesc<'call> {
        // SAFETY: the descriptor lives as long as the call.
        unsafe { PgTupleDesc::from_pg_unchecked(self.descriptor) }
    }

    pub(super) fn values(&self) -> Values {
        let count = self.columns().len();
        let mut values = Values { datums: vec![pg_sys::Datum::from(0); count], nulls: vec![true; count] };
        // SAFETY: main thread; the tuple is one of the descriptor, and there is room for each of its columns.
        unsafe {
            pg_sys::heap_deform_tuple(
                self.tuple,
                self.descriptor,
                values.datums.as_mut_ptr(),
                values.nulls.as_mut_ptr(),
            );
        }
        values
    }
}

impl Values {
    /// Whether a column has the same value in both rows.
    fn same(&self, other: &Self, place: usize, column: &pg_sys::FormData_pg_attribute) -> bool {
        let (mine, others) = (self.datums[place], other.datums[place]);
        match (self.nulls[place], other.nulls[place]) {
            (true, true) => true,
            (false, false) => {
                let length = c_int::from(column.attlen);
                // SAFETY: main thread, inside a transaction; both are values of the column. Comparing may fetch them from
                // where they are stored, and raise an error, which the guard turns into a panic as pgrx' own bindings do.
                unsafe {
                    (column.attlen == -1 && are_same_bytes(mine, others))
                        || pg_sys::ffi::pg_guard_ffi_boundary(|| datum_image_eq(mine, others, column.attbyval, length))
                }
            }
            _ => false,
        }
    }
}

/// Whether two values are the same as they stand in the row. Of large ones that is a pointer, and what an update leaves alone
/// keeps its own.
///
/// # Safety
///
/// Both must be varlenas.
unsafe fn are_same_bytes(one: pg_sys::Datum, other: pg_sys::Datum) -> bool {
    // SAFETY: as the caller promises; each has as many bytes as its header says.
    unsafe {
        let bytes = |datum: pg_sys::Datum| {
            let start: *const pg_sys::varlena = datum.cast_mut_ptr();
            std::slice::from_raw_parts(start.cast::<u8>(), varsize_any(start))
        };
        bytes(one) == bytes(other)
    }
}

/// Whether a column is computed when it is read, as there are from Postgres 18 on.
pub(super) fn is_virtual(column: &pg_sys::FormData_pg_attribute) -> bool {
    column.attgenerated as u8 == b'v'
}

/// The name of a column.
pub(super) fn name_of(column: &pg_sys::FormData_pg_attribute) -> &CStr {
    // SAFETY: names of columns are C strings within their 64 bytes.
    unsafe { CStr::from_ptr(column.attname.data.as_ptr()) }
}

fn is_named(column: &pg_sys::FormData_pg_attribute, name: &str) -> bool {
    name_of(column).to_bytes() == name.as_bytes()
}
