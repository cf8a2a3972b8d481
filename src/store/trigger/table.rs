//! The name and the owner of a table, from the system cache: the cost of a few hash look-ups, and always up to date.

#![allow(unsafe_code, reason = "pgrx has no wrapper for it")]

use std::ffi::CStr;
use std::fmt;

use pgrx::prelude::*;

use crate::error::Error;

/// A table.
pub struct Table {
    pub schema: String,
    pub name: String,
    pub owner: pg_sys::Oid,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\".\"{}\"", self.schema, self.name)
    }
}

/// The table of this number.
pub fn find(relation: pg_sys::Oid) -> Result<Table, Error> {
    // SAFETY: main thread, inside a transaction. The tuple is read before it is released, and a tuple of the RELOID cache is
    // laid out as FormData_pg_class. Names are C strings.
    unsafe {
        let key = pg_sys::Datum::from(relation);
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::RELOID as i32, key);
        if tuple.is_null() {
            return Err(Error::Malformed);
        }
        let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>();
        let (schema, owner) = ((*form).relnamespace, (*form).relowner);
        let name = text((*form).relname.data.as_ptr());
        pg_sys::ReleaseSysCache(tuple);
        let schema = pg_sys::get_namespace_name(schema);
        if schema.is_null() {
            return Err(Error::Malformed);
        }
        Ok(Table { schema: text(schema), name, owner })
    }
}

/// # Safety
///
/// Must be a C string.
unsafe fn text(name: *const std::ffi::c_char) -> String {
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
}
