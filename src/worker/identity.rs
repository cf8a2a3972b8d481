//! Becoming a role: a process that runs what users wrote, as one of them and as nobody else.
//!
//! Runs on the main thread of its process, before anything of a user's runs there.

#![allow(unsafe_code, reason = "pgrx has no wrapper for changing who a process is")]

use std::ffi::CStr;

use pgrx::prelude::*;

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

/// Connects as the role, so that RESET ROLE and RESET SESSION AUTHORIZATION lead nowhere else.
pub fn become_role(database: pg_sys::Oid, role: pg_sys::Oid, login: Login) {
    match login {
        Login::Allowed => connect(database, role, 0),
        Login::Refused => connect_without_login(database, role),
    }
    // ALTER ROLE … SET role makes a session begin as another role; what is run here is this one's.
    #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
    if login == Login::Refused {
        return confine_to(role);
    }
    set(c"role", c"none");
}

#[cfg(not(any(feature = "pg14", feature = "pg15", feature = "pg16")))]
fn connect_without_login(database: pg_sys::Oid, role: pg_sys::Oid) {
    connect(database, role, pg_sys::BGWORKER_BYPASS_ROLELOGINCHECK);
}

/// Postgres before 17 lets no background worker connect as a role without LOGIN. So it connects as the first superuser,
/// and becomes the role afterwards.
#[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
fn connect_without_login(database: pg_sys::Oid, _role: pg_sys::Oid) {
    connect(database, pg_sys::InvalidOid, 0);
}

/// Makes the session the role's for good: in a context of changed identity, as inside a SECURITY DEFINER function,
/// Postgres refuses SET ROLE and SET SESSION AUTHORIZATION, and the context is never left, not even at commit.
#[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
fn confine_to(role: pg_sys::Oid) {
    // SAFETY: main thread, connected, outside a transaction.
    unsafe {
        pg_sys::SetSessionAuthorization(role, false);
        pg_sys::SetUserIdAndSecContext(role, pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32);
    }
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
