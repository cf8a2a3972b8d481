//! Whether the user may do to a database what needs it empty. Nobody else disturbs a dispatcher.

#![allow(unsafe_code, reason = "Postgres' own questions")]

use pgrx::prelude::*;

/// Whether the user owns a database.
pub(super) unsafe fn owns(database: pg_sys::Oid) -> bool {
    // SAFETY: main thread, inside a transaction.
    unsafe {
        let user = pg_sys::GetUserId();
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        let owns = pg_sys::pg_database_ownercheck(database, user);
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        let owns = pg_sys::object_ownercheck(pg_sys::DatabaseRelationId, database, user);
        owns
    }
}

/// Whether the user may copy a database, by the rule of CREATE DATABASE.
pub(super) unsafe fn may_copy(database: pg_sys::Oid) -> bool {
    // SAFETY: main thread, inside a transaction; the tuple is read before it is released.
    unsafe {
        let tuple =
            pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::DATABASEOID as i32, pg_sys::Datum::from(database));
        if tuple.is_null() {
            return false;
        }
        let is_template = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_database>()).datistemplate;
        pg_sys::ReleaseSysCache(tuple);
        may_create_databases() && (is_template || owns(database))
    }
}

#[cfg(not(feature = "pg14"))]
unsafe fn may_create_databases() -> bool {
    // SAFETY: main thread, inside a transaction.
    unsafe { pg_sys::have_createdb_privilege() }
}

/// Before 15, Postgres kept its own question to itself.
#[cfg(feature = "pg14")]
unsafe fn may_create_databases() -> bool {
    // SAFETY: main thread, inside a transaction; the tuple is read before it is released.
    unsafe {
        if pg_sys::superuser() {
            return true;
        }
        let user = pg_sys::Datum::from(pg_sys::GetUserId());
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::AUTHOID as i32, user);
        if tuple.is_null() {
            return false;
        }
        let may = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_authid>()).rolcreatedb;
        pg_sys::ReleaseSysCache(tuple);
        may
    }
}
