//! The function that a webhook's option names, found by its schema and name: those of a trigger outlive dumps, numbers do not.

#![allow(unsafe_code, reason = "pgrx has no wrapper for it")]

use std::ffi::CString;

use pgrx::prelude::*;

/// A function `(edge.response)`.
#[derive(Clone, Debug)]
pub struct Name {
    schema: CString,
    function: CString,
}

impl Name {
    /// `None` where one cannot be a name.
    pub fn new(schema: &str, function: &str) -> Option<Self> {
        Some(Self { schema: CString::new(schema).ok()?, function: CString::new(function).ok()? })
    }

    /// Its number now. No search path plays a part, and no right.
    pub fn find(&self) -> Option<pg_sys::Oid> {
        // SAFETY: main thread, inside a transaction; names are C strings that outlive the calls.
        let found = unsafe {
            let edge = pg_sys::get_namespace_oid(c"edge".as_ptr(), true);
            let response = pg_sys::get_rel_type_id(pg_sys::get_relname_relid(c"response".as_ptr(), edge));
            let schema = pg_sys::get_namespace_oid(self.schema.as_ptr(), true);
            if schema == pg_sys::InvalidOid {
                return None;
            }
            pg_sys::GetSysCacheOid(
                pg_sys::SysCacheIdentifier::PROCNAMEARGSNSP as i32,
                pg_sys::Anum_pg_proc_oid as i16,
                pg_sys::Datum::from(self.function.as_ptr()),
                pg_sys::Datum::from(pg_sys::buildoidvector(&response, 1)),
                pg_sys::Datum::from(schema),
                pg_sys::Datum::from(0),
            )
        };
        (found != pg_sys::InvalidOid).then_some(found)
    }

    /// Its number now, where whoever may change it is somebody whom the owner of a table has to trust.
    pub fn find_for(&self, owner: pg_sys::Oid) -> Option<pg_sys::Oid> {
        self.find().filter(|function| is_trusted_by(*function, owner))
    }
}

/// Whether a function is the role's own, or a superuser's. Tables change hands, and with them the role that callbacks run as:
/// what the one before wrote must not run as the one after.
pub fn is_trusted_by(function: pg_sys::Oid, role: pg_sys::Oid) -> bool {
    // SAFETY: main thread, inside a transaction. The tuple is read before it is released, and a tuple of the PROCOID cache is
    // laid out as FormData_pg_proc.
    unsafe {
        let key = pg_sys::Datum::from(function);
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::PROCOID as i32, key);
        if tuple.is_null() {
            return false;
        }
        let owner = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_proc>()).proowner;
        pg_sys::ReleaseSysCache(tuple);
        owner == role || pg_sys::superuser_arg(owner)
    }
}
