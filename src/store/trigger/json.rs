//! A row as JSON, whatever it holds.
//!
//! Postgres makes no text of a gigabyte, and a row that it has no trouble to keep may be more than that as JSON: a number of ten
//! bytes has 131,072 digits, and a composite value of mostly nulls names each of its columns. Whoever writes such a row does not
//! know of the webhook. So a row that could become too much is made JSON of in a subtransaction; where that fails, its columns are
//! tried one by one, and those that are too large are left out. The same is done where a type is somebody's own: its cast to JSON
//! may raise an error, which is not asked for by a trigger that does not want the column.

#![allow(unsafe_code, reason = "the bridge to Postgres' rows")]

use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;
use pgrx::{direct_function_call_as_datum, varlena_to_byte_slice};

use super::row::{Row, Values, is_virtual, name_of};
use crate::store::transaction::{in_own_memory, unless};

/// No value of Postgres' own takes so many times as much as JSON as it takes in a row: at the worst, 147,456 digits for 7 bytes.
const GROWS: usize = 22_000;

/// A row of so many bytes, unpacked, does not become a gigabyte, nor do the names of its columns add much.
const HARMLESS: usize = 1_000_000_000 / GROWS;

/// A row of so many bytes is harmless without being looked at: what is packed in it is at most 255 times as much.
const TINY: u32 = (HARMLESS / 256) as u32;

/// So much, in bytes, is always taken for a row that could be sent.
const LEAST: usize = 1024 * 1024;

/// The most, in bytes, that is made JSON of on the way to a call.
const MOST: usize = 160 * 1024 * 1024;

/// Types from here on were made by somebody, as were their arrays and domains; those before came with Postgres.
const FIRST_OF_USERS: u32 = pg_sys::FirstNormalObjectId;

/// No value of Postgres' own types takes so many times less as JSON than it takes in a row.
const SHRINKS: usize = 8;

/// A row as JSON.
pub struct RowJson {
    /// As `row_to_json` writes it.
    pub json: String,
    /// Columns of which it does not tell: they are too large, or computed when they are read. In the JSON they are null.
    pub omitted: Vec<String>,
}

impl Row<'_> {
    /// The row as JSON. What could not be sent in `limit` bytes in any case is left out; of a large row and of
    /// one with somebody's own types, what is not wanted is null.
    pub fn json(&self, wanted: Option<&[String]>, limit: usize) -> RowJson {
        let mut told = match self.unpacked() {
            None => RowJson { json: whole(self.tuple, self.descriptor, str::to_owned), omitted: Vec::new() },
            Some(unpacked) => unpacked.json(wanted, limit),
        };
        told.omitted.extend(self.virtual_columns());
        told
    }

    /// The values of a row of which Postgres may make no JSON: since it would be too much, or since a type is somebody's own, and
    /// so may be its cast to JSON.
    fn unpacked(&self) -> Option<Unpacked<'_>> {
        let types_are_built_in = self.columns().iter().all(|column| column.atttypid.to_u32() < FIRST_OF_USERS);
        if types_are_built_in && self.is_tiny() {
            return None;
        }
        let mut values = self.values();
        let mut sizes = Vec::new();
        for (place, column) in self.columns().iter().enumerate() {
            // What a column held that was dropped since is in the row still.
            values.nulls[place] |= column.attisdropped;
            if column.attlen == -1 && !values.nulls[place] {
                // SAFETY: a varlena; where it is stored elsewhere, what is read is the pointer to it.
                sizes.push((unsafe { pg_sys::toast_raw_datum_size(values.datums[place]) }, place));
            }
        }
        // What is not a varlena is in the tuple as it is.
        // SAFETY: as above.
        let rest = unsafe { (*self.tuple).t_len as usize };
        let is_harmless = types_are_built_in && sizes.iter().map(|(size, _)| size).sum::<usize>() + rest <= HARMLESS;
        (!is_harmless).then_some(Unpacked { row: self, values, sizes, omitted: Vec::new() })
    }

    fn is_tiny(&self) -> bool {
        // SAFETY: the tuple lives as long as the call. Columns that it does not have are those that the table got later; their
        // values are in the catalog.
        unsafe {
            let head = &*(*self.tuple).t_data;
            let columns = u32::from(head.t_infomask2) & pg_sys::HEAP_NATTS_MASK;
            let is_stored_elsewhere = u32::from(head.t_infomask) & pg_sys::HEAP_HASEXTERNAL != 0;
            (*self.tuple).t_len <= TINY && !is_stored_elsewhere && columns as usize >= self.columns().len()
        }
    }

    /// The columns that a trigger is not given, if there are any.
    fn virtual_columns(&self) -> Vec<String> {
        // SAFETY: the descriptor lives as long as the call. A table without constraints of any kind has no such column.
        if unsafe { (*self.descriptor).constr.is_null() } {
            return Vec::new();
        }
        let columns = self.columns();
        columns.iter().filter(|column| !column.attisdropped && is_virtual(column)).map(name).collect()
    }
}

/// A row of which Postgres may make no JSON.
struct Unpacked<'row> {
    row: &'row Row<'row>,
    values: Values,
    /// How much the values of varying length are, and in which columns they are.
    sizes: Vec<(usize, usize)>,
    omitted: Vec<String>,
}

impl Unpacked<'_> {
    fn json(mut self, wanted: Option<&[String]>, limit: usize) -> RowJson {
        if let Some(wanted) = wanted {
            self.forget_all_but(wanted);
        }
        let most = limit.saturating_mul(SHRINKS).clamp(LEAST, MOST);
        // A value of a gigabyte that is stored elsewhere is not even fetched.
        self.leave_out(most);
        let most_letters = most.max(limit);
        let within = |json: &str| (json.len() <= most_letters).then(|| json.to_owned());
        let json = self.text(within).flatten().unwrap_or_else(|| {
            self.measure();
            self.leave_out(most_letters);
            self.text(str::to_owned).unwrap_or_else(|| self.without_all())
        });
        RowJson { json, omitted: self.omitted }
    }

    /// Makes those null that nobody wants.
    fn forget_all_but(&mut self, wanted: &[String]) {
        let columns = self.row.columns();
        let is_wanted = |place: usize| {
            columns
                .get(place)
                .is_some_and(|column| wanted.iter().any(|name| name.as_bytes() == name_of(column).to_bytes()))
        };
        for (place, is_null) in self.values.nulls.iter_mut().enumerate() {
            *is_null |= !is_wanted(place);
        }
        self.sizes.retain(|(_, place)| is_wanted(*place));
    }

    /// Leaves the largest out until the rest is not more than this.
    fn leave_out(&mut self, most: usize) {
        self.sizes.sort_unstable();
        let mut total: usize = self.sizes.iter().map(|(size, _)| size).sum();
        while total > most
            && let Some((size, place)) = self.sizes.pop()
        {
            total -= size;
            self.omit(place);
        }
    }

    fn omit(&mut self, place: usize) {
        self.values.nulls[place] = true;
        self.omitted.extend(self.row.columns().get(place).map(name));
    }

    /// Finds out how large each value is as JSON, and leaves out those of which Postgres makes none.
    fn measure(&mut self) {
        let given = std::mem::replace(&mut self.values.nulls, vec![true; self.row.columns().len()]);
        let names = self.text(str::len).unwrap_or(0);
        let mut measured = Vec::new();
        let mut too_large = Vec::new();
        for place in (0..given.len()).filter(|place| !given[*place]) {
            pgrx::check_for_interrupts!();
            self.values.nulls[place] = false;
            match self.text(str::len) {
                Some(length) => measured.push((length.saturating_sub(names), place)),
                None => too_large.push(place),
            }
            self.values.nulls[place] = true;
        }
        self.values.nulls = given;
        self.sizes = measured;
        too_large.into_iter().for_each(|place| self.omit(place));
    }

    /// What comes of the JSON of the values; `None` where it is too much for Postgres.
    fn text<R>(&mut self, result: impl FnOnce(&str) -> R) -> Option<R> {
        let (descriptor, values) = (self.row.descriptor, &mut self.values);
        in_own_memory(|| {
            unless(is_of_size, || {
                // SAFETY: main thread; the values are those of a row of the descriptor, and live as long as the call.
                let tuple = unsafe {
                    pg_sys::heap_form_tuple(descriptor, values.datums.as_mut_ptr(), values.nulls.as_mut_ptr())
                };
                whole(tuple, descriptor, result)
            })
        })
    }

    /// What is left of a row of which no JSON can be made at all.
    fn without_all(&mut self) -> String {
        let columns = self.row.columns();
        self.omitted = columns.iter().filter(|column| !column.attisdropped).map(name).collect();
        "{}".to_owned()
    }
}

/// What comes of the JSON of a tuple. Raises what `row_to_json` raises.
fn whole<R>(tuple: pg_sys::HeapTuple, descriptor: pg_sys::TupleDesc, result: impl FnOnce(&str) -> R) -> R {
    // SAFETY: main thread, inside a transaction; the tuple is one of the descriptor, which is a table's, so the composite that is
    // made of it names its type. row_to_json gives a text that is not packed.
    unsafe {
        let composite = pg_sys::heap_copy_tuple_as_datum(tuple, descriptor);
        match direct_function_call_as_datum(pg_sys::row_to_json, &[Some(composite)]) {
            // In a database of encoding SQL_ASCII a text may hold any bytes.
            Some(text) => result(&String::from_utf8_lossy(varlena_to_byte_slice(text.cast_mut_ptr()))),
            None => result("{}"),
        }
    }
}

/// Whether an error says that something is larger than Postgres makes it, or than there is room for.
fn is_of_size(caught: &CaughtError) -> bool {
    let (CaughtError::PostgresError(report) | CaughtError::ErrorReport(report)) = caught else { return false };
    match report.sql_error_code() {
        Code::ERRCODE_PROGRAM_LIMIT_EXCEEDED | Code::ERRCODE_OUT_OF_MEMORY => true,
        // Its code is that of errors that nobody awaits, and it is never translated.
        Code::ERRCODE_INTERNAL_ERROR => report.message().starts_with("invalid memory alloc request size"),
        _ => false,
    }
}

fn name(column: &pg_sys::FormData_pg_attribute) -> String {
    name_of(column).to_string_lossy().into_owned()
}
