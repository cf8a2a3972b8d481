//! Rows of the composite types that users are given.
//!
//! Runs on the main thread.

#![allow(unsafe_code, reason = "the bridge between Postgres' datums and Rust's types")]

use std::ffi::CStr;

use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::prelude::*;
use pgrx::{IntoDatum, PgTupleDesc};

use super::datum::passed_on;
use crate::error::Error;

/// A row of the composite type `edge.response`.
#[derive(Clone, Copy, Debug)]
pub struct ResponseRow(pg_sys::Datum);

/// A row of the composite type `edge.event`.
#[derive(Clone, Copy, Debug)]
pub struct EventRow(pg_sys::Datum);

/// A row of the composite type `edge.ws_message`.
#[derive(Clone, Copy, Debug)]
pub struct MessageRow(pg_sys::Datum);

/// A field of a row: its type and its value.
pub type Field = (pg_sys::Oid, Option<pg_sys::Datum>);

impl_sql_translatable!(ResponseRow, "edge.response");
impl_sql_translatable!(EventRow, "edge.event");

passed_on!(ResponseRow, pg_sys::RECORDOID);
passed_on!(EventRow, pg_sys::RECORDOID);

impl ResponseRow {
    /// The datum itself.
    pub fn datum(self) -> pg_sys::Datum {
        self.0
    }

    /// Makes a row of its fields, in the type's order; `fields` are as many as the type has.
    pub fn of(fields: &[Field]) -> Result<Self, Error> {
        composite(c"response", fields).map(Self)
    }

    /// Takes a composite datum out of SPI's memory into that of the calling function.
    pub fn out_of_spi(datum: pg_sys::Datum) -> Self {
        // SAFETY: main thread, SPI is connected, and the datum is a composite, so a pointer to a varlena.
        Self(unsafe { pg_sys::SPI_datumTransfer(datum, false, -1) })
    }
}

impl EventRow {
    /// Makes a row of its fields, in the type's order; `fields` are as many as the type has.
    pub fn of(fields: &[Field]) -> Result<Self, Error> {
        composite(c"event", fields).map(Self)
    }
}

impl MessageRow {
    /// The datum itself.
    pub fn datum(self) -> pg_sys::Datum {
        self.0
    }

    /// Makes a row of its fields, in the type's order; `fields` are as many as the type has.
    pub fn of(fields: &[Field]) -> Result<Self, Error> {
        composite(c"ws_message", fields).map(Self)
    }
}

/// The field that a value makes.
pub fn field<T: IntoDatum>(value: Option<T>) -> Field {
    (T::type_oid(), value.and_then(IntoDatum::into_datum))
}

/// A value of a composite type of `edge`.
fn composite(name: &CStr, fields: &[Field]) -> Result<pg_sys::Datum, Error> {
    // SAFETY: main thread, inside a transaction; both are C strings. The descriptor is held until the row is made,
    // and each field was compared with it. What is given back is a copy with the type's name in its header.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"edge".as_ptr(), true);
        let of_rows = pg_sys::get_rel_type_id(pg_sys::get_relname_relid(name.as_ptr(), schema));
        if of_rows == pg_sys::InvalidOid {
            return Err(Error::NotInstalled);
        }
        let columns = PgTupleDesc::from_pg(pg_sys::lookup_rowtype_tupdesc(of_rows, -1));
        let fits = |(column, field): (&pg_sys::FormData_pg_attribute, &Field)| column.atttypid == field.0;
        if columns.len() != fields.len() || !columns.iter().zip(fields).all(fits) {
            return Err(Error::Malformed);
        }
        let mut nulls: Vec<bool> = fields.iter().map(|(_, field)| field.is_none()).collect();
        let mut values: Vec<pg_sys::Datum> =
            fields.iter().map(|(_, field)| field.unwrap_or(pg_sys::Datum::from(0))).collect();
        let tuple = pg_sys::heap_form_tuple(columns.as_ptr(), values.as_mut_ptr(), nulls.as_mut_ptr());
        Ok(pg_sys::heap_copy_tuple_as_datum(tuple, columns.as_ptr()))
    }
}
