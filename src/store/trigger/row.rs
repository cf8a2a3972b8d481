//! A row of a user's table, as a trigger sees it: as JSON, and next to what it was.

#![allow(unsafe_code, reason = "the bridge to Postgres' rows")]

use std::ffi::{CStr, c_int};
use std::marker::PhantomData;

use pgrx::prelude::*;
use pgrx::{PgTupleDesc, direct_function_call_as_datum, varlena_to_byte_slice, varsize_any};

/// A row of this size cannot hold so much, unpacked, that making JSON of it would be too much.
const SMALL: u32 = 1024 * 1024;

/// The most, in bytes, that is made JSON of. A control character becomes six letters there, and Postgres makes no text of a
/// gigabyte.
const MOST: usize = 160 * 1024 * 1024;

/// No value of Postgres' own types takes so many times less as JSON than it takes in a row.
const SHRINKS: usize = 8;

unsafe extern "C-unwind" {
    /// In utils/datum.h, which pgrx does not read.
    fn datum_image_eq(one: pg_sys::Datum, other: pg_sys::Datum, by_value: bool, length: c_int) -> bool;
}

/// A row.
#[derive(Clone, Copy)]
pub struct Row<'call> {
    tuple: pg_sys::HeapTuple,
    descriptor: pg_sys::TupleDesc,
    call: PhantomData<&'call ()>,
}

/// A row as JSON.
pub struct Text {
    /// As `row_to_json` writes it.
    pub json: String,
    /// Columns that were not even looked at, so large are they. In the JSON they are null.
    pub omitted: Vec<String>,
}

/// The values of a row.
struct Values {
    datums: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

impl<'call> Row<'call> {
    /// `None` without a tuple. It and the descriptor, which is that of the tuple's table, live as long as the call.
    pub(super) fn of(tuple: pg_sys::HeapTuple, descriptor: pg_sys::TupleDesc) -> Option<Self> {
        (!tuple.is_null()).then_some(Self { tuple, descriptor, call: PhantomData })
    }

    /// The row as JSON. What could not be sent in `limit` bytes in any case is left out.
    pub fn json(&self, limit: usize) -> Text {
        let (tuple, omitted) = self.without_giants(limit);
        // SAFETY: main thread, inside a transaction; the tuple is one of the descriptor, which is a table's, so the composite
        // that is made of it names its type. row_to_json gives a text that is not packed.
        let json = unsafe {
            let composite = pg_sys::heap_copy_tuple_as_datum(tuple, self.descriptor);
            direct_function_call_as_datum(pg_sys::row_to_json, &[Some(composite)]).map(|text| {
                // In a database of encoding SQL_ASCII a text may hold any bytes.
                String::from_utf8_lossy(varlena_to_byte_slice(text.cast_mut_ptr())).into_owned()
            })
        };
        Text { json: json.unwrap_or_else(|| "{}".to_owned()), omitted }
    }

    /// Whether one of these columns, or any at all, has another value than in the other row of the same table. Values are the
    /// same if they are stored as the same bytes. A column that the table does not have any more, since it was renamed or dropped,
    /// may have changed for all that is known: better to tell of too much than to be silent for ever. A virtual column follows from
    /// the others and is in no row, so it may have changed with any of them.
    pub fn differs(&self, other: &Self, columns: Option<&[String]>) -> bool {
        if columns.is_some_and(|columns| !columns.iter().all(|name| self.has(name))) {
            return true;
        }
        let columns = columns.filter(|columns| !columns.iter().any(|name| self.has_virtual(name)));
        let (mine, others) = (self.values(), other.values());
        self.columns().iter().enumerate().any(|(place, column)| {
            let is_asked_for = || columns.is_none_or(|columns| columns.iter().any(|name| is_named(column, name)));
            !column.attisdropped && is_asked_for() && !mine.same(&others, place, column)
        })
    }

    /// Whether the table has a column of this name.
    pub fn has(&self, name: &str) -> bool {
        self.columns().iter().any(|column| !column.attisdropped && is_named(column, name))
    }

    /// Whether the column of this name is generated when it is read, as there are from PostgreSQL 18 on.
    fn has_virtual(&self, name: &str) -> bool {
        const VIRTUAL: std::ffi::c_char = b'v' as std::ffi::c_char;
        self.columns().iter().any(|column| column.attgenerated == VIRTUAL && is_named(column, name))
    }

    fn columns(&self) -> PgTupleDesc<'call> {
        // SAFETY: the descriptor lives as long as the call.
        unsafe { PgTupleDesc::from_pg_unchecked(self.descriptor) }
    }

    fn values(&self) -> Values {
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

    /// The row with nulls in place of values that are too large, largest first, until the rest can be made JSON of.
    fn without_giants(&self, limit: usize) -> (pg_sys::HeapTuple, Vec<String>) {
        // SAFETY: the tuple lives as long as the call.
        let is_small = unsafe {
            let stored_elsewhere = u32::from((*(*self.tuple).t_data).t_infomask) & pg_sys::HEAP_HASEXTERNAL != 0;
            (*self.tuple).t_len <= SMALL && !stored_elsewhere
        };
        let most = limit.saturating_mul(SHRINKS).clamp(SMALL as usize, MOST);
        if is_small {
            return (self.tuple, Vec::new());
        }
        let (columns, mut values) = (self.columns(), self.values());
        let mut sizes: Vec<(usize, usize)> = Vec::new();
        for (place, column) in columns.iter().enumerate() {
            if column.attlen == -1 && !values.nulls[place] {
                // SAFETY: a varlena; where it is stored elsewhere, what is read is the pointer to it.
                sizes.push((unsafe { pg_sys::toast_raw_datum_size(values.datums[place]) }, place));
            }
        }
        sizes.sort_unstable_by(|one, other| other.cmp(one));
        let mut total: usize = sizes.iter().map(|(size, _)| size).sum();
        let mut omitted = Vec::new();
        for (size, place) in sizes {
            if total <= most {
                break;
            }
            values.nulls[place] = true;
            omitted.extend(columns.get(place).map(|column| name_of(column).to_string_lossy().into_owned()));
            total -= size;
        }
        if omitted.is_empty() {
            return (self.tuple, omitted);
        }
        // SAFETY: main thread; the values are those of a row of the descriptor.
        let tuple =
            unsafe { pg_sys::heap_form_tuple(self.descriptor, values.datums.as_mut_ptr(), values.nulls.as_mut_ptr()) };
        (tuple, omitted)
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

/// The name of a column.
fn name_of(column: &pg_sys::FormData_pg_attribute) -> &CStr {
    // SAFETY: names of columns are C strings within their 64 bytes.
    unsafe { CStr::from_ptr(column.attname.data.as_ptr()) }
}

fn is_named(column: &pg_sys::FormData_pg_attribute, name: &str) -> bool {
    name_of(column).to_bytes() == name.as_bytes()
}
