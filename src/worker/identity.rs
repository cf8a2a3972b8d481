//! Becoming a role: a process that runs what users wrote, as one of them and as nobody else.
//!
//! Runs on the main thread of its process, before anything of a user's runs there.

#![allow(unsafe_code, reason = "pgrx has no wrapper for changing who a process is")]

use std::ffi::CStr;

use pgrx::prelude::*;

use crate::store::transaction::{Aborted, Durability, attempt};
#[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
use crate::worker::role_settings::Unconnected;

/// Whether Postgres lets a role begin a session by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    Allowed,
    Refused,
}

impl From<bool> for Login {
    fn from(can_login: bool) -> Self {
        if can_login { Self::Allowed } else { Self::Refused }
    }
}

/// Connects as the role, so that RESET ROLE and RESET SESSION AUTHORIZATION lead nowhere else. With the settings of the
/// role, except one: ALTER ROLE … SET role makes a session begin as another role, and what is run here is this one's.
pub fn become_role(database: pg_sys::Oid, role: pg_sys::Oid, login: Login) -> Result<(), Aborted> {
    match login {
        Login::Allowed => {
            connect(database, role, 0);
            set(c"role", c"none");
            Ok(())
        }
        Login::Refused => become_role_without_login(database, role),
    }
}

#[cfg(not(any(feature = "pg14", feature = "pg15", feature = "pg16")))]
fn become_role_without_login(database: pg_sys::Oid, role: pg_sys::Oid) -> Result<(), Aborted> {
    connect(database, role, pg_sys::BGWORKER_BYPASS_ROLELOGINCHECK);
    set(c"role", c"none");
    Ok(())
}

/// Postgres before 17 lets no background worker connect as a role without LOGIN. So it connects as the first superuser, and
/// becomes the role afterwards, for good: in a context of changed identity, as inside a SECURITY DEFINER function, Postgres
/// refuses SET ROLE and SET SESSION AUTHORIZATION, and the context is never left, not even at commit.
#[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
fn become_role_without_login(database: pg_sys::Oid, role: pg_sys::Oid) -> Result<(), Aborted> {
    let unconnected = Unconnected::note();
    connect(database, pg_sys::InvalidOid, 0);
    let is_superuser = attempt(|| {
        refuse_unless_it_may_connect(database, role);
        unconnected.become_those_of(database, role);
        // SAFETY: main thread, inside a transaction.
        Ok((unsafe { pg_sys::superuser_arg(role) }, Durability::Relaxed))
    })?;
    set(c"role", c"none");
    // SAFETY: main thread, connected, outside a transaction.
    unsafe {
        pg_sys::SetSessionAuthorization(role, is_superuser);
        pg_sys::SetUserIdAndSecContext(role, pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32);
    }
    Ok(())
}

/// Ends the process of a role that may not connect, with Postgres' own words: nobody has asked on its behalf.
#[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
fn refuse_unless_it_may_connect(database: pg_sys::Oid, role: pg_sys::Oid) {
    let asked = [role.into_datum(), database.into_datum(), "connect".into_datum()];
    // SAFETY: main thread, inside a transaction; a function of these three arguments, given such.
    let may = unsafe { pgrx::direct_function_call::<bool>(pg_sys::has_database_privilege_id_id, &asked) };
    if may != Some(true) {
        // SAFETY: as above; the name is a C string in the current memory context, null where there is no such database.
        let name = unsafe {
            let name = pg_sys::get_database_name(database);
            if name.is_null() { "".into() } else { CStr::from_ptr(name).to_string_lossy() }
        };
        ereport!(
            PgLogLevel::FATAL,
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("permission denied for database \"{name}\""),
            "User does not have CONNECT privilege."
        );
    }
}

/// Loads the libraries that a session of the role would begin with. Some watch over what it does, or forbid it.
pub fn load_session_libraries() -> Result<(), Aborted> {
    attempt(|| {
        // SAFETY: main thread, inside a transaction, as a session does it.
        unsafe { pg_sys::process_session_preload_libraries() };
        Ok(((), Durability::Relaxed))
    })
}

fn connect(database: pg_sys::Oid, role: pg_sys::Oid, flags: u32) {
    // SAFETY: main thread of a background worker that asked for a connection and has none yet.
    unsafe { pg_sys::BackgroundWorkerInitializeConnectionByOid(database, role, flags) };
}

/// Sets something for the session, as the user himself could.
pub fn set(name: &CStr, value: &CStr) {
    // SAFETY: main thread, connected, outside a transaction; Postgres copies both strings.
    unsafe {
        pg_sys::SetConfigOption(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
        );
    }
}

/// Gives a setting back the value that the session began with.
pub fn reset(name: &CStr) {
    // SAFETY: as above; no value stands for the one to be reset to.
    unsafe {
        pg_sys::SetConfigOption(
            name.as_ptr(),
            std::ptr::null(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
        );
    }
}
