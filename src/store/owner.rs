//! Acting as the extension's owner for the length of a few statements.
//!
//! Runs on the main thread of a backend. Users have no right on `edge_store`; the functions of `edge` check what
//! may be done, note who asked, and step up only around their own statements. Workers, which begin as a superuser, step
//! down to the same owner: should the tables belong to somebody who is none, his triggers gain nothing in them.

use std::ffi::CStr;

use pgrx::prelude::*;

use crate::error::Error;

/// The role on whose behalf the present statement runs: under SET ROLE that role, in a SECURITY DEFINER
/// function that function's owner.
#[allow(unsafe_code, reason = "pgrx has no wrapper for it")]
pub fn current_role() -> pg_sys::Oid {
    // SAFETY: reads a variable of the process on its main thread.
    unsafe { pg_sys::GetUserId() }
}

/// Who a process is: its user, and how free it is to become another.
pub struct Identity {
    user: pg_sys::Oid,
    context: i32,
}

#[allow(unsafe_code, reason = "pgrx has no wrapper for it")]
impl Identity {
    /// Who this process is now.
    pub fn present() -> Self {
        let mut identity = Self { user: pg_sys::InvalidOid, context: 0 };
        // SAFETY: main thread; both out-pointers are valid.
        unsafe { pg_sys::GetUserIdAndSecContext(&mut identity.user, &mut identity.context) };
        identity
    }

    /// Becomes this one again.
    pub fn take_again(self) {
        // SAFETY: main thread; puts back what was noted.
        unsafe { pg_sys::SetUserIdAndSecContext(self.user, self.context) };
    }

    /// Becomes another user, who cannot become anybody else. As inside a SECURITY DEFINER function, SET ROLE is refused.
    fn confine_to(&self, user: pg_sys::Oid) {
        // SAFETY: main thread, inside a transaction, whose abort puts the user back.
        unsafe { pg_sys::SetUserIdAndSecContext(user, self.context | pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32) };
    }
}

/// Makes a worker the extension's owner for the rest of its transaction, the triggers deferred to its commit included.
pub fn step_down() -> Result<(), Error> {
    Identity::present().confine_to(schema_owner()?);
    Ok(())
}

/// Whose rows the views show.
#[derive(Clone, Copy, Debug)]
pub enum Seen {
    Everybodys,
    Only(pg_sys::Oid),
}

impl Seen {
    /// Whether a role's rows are among them.
    pub fn role(self, role: pg_sys::Oid) -> bool {
        match self {
            Self::Everybodys => true,
            Self::Only(seen) => seen == role,
        }
    }
}

/// Whose rows the views show to the present statement.
#[allow(unsafe_code, reason = "pgrx has no wrapper for it")]
pub fn seen_by_current_role() -> Seen {
    let role = current_role();
    // SAFETY: main thread, inside a transaction.
    let monitors = unsafe { pg_sys::has_privs_of_role(role, pg_sys::Oid::from(pg_sys::ROLE_PG_MONITOR)) };
    if monitors { Seen::Everybodys } else { Seen::Only(role) }
}

/// The name of a role, for errors.
#[allow(unsafe_code, reason = "pgrx has no wrapper for it")]
pub fn name(role: pg_sys::Oid) -> String {
    // SAFETY: main thread, inside a transaction; the name is a C string in the current memory context, null where the
    // role is gone.
    unsafe {
        let name = pg_sys::GetUserNameFromId(role, true);
        if name.is_null() { role.to_u32().to_string() } else { CStr::from_ptr(name).to_string_lossy().into_owned() }
    }
}

/// Runs `body` as the owner of the extension, under a search path on which no user can put anything.
///
/// If `body` raises an error, the aborted (sub)transaction puts the user and the search path back, as it does for
/// Postgres' own SECURITY DEFINER functions.
#[allow(unsafe_code, reason = "the switch of user is the very thing this file is for")]
pub fn acting<R>(body: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    let owner = schema_owner()?;
    let identity = Identity::present();
    // SAFETY: main thread, inside a transaction. Operators and functions of our statements are then Postgres' own, whatever
    // the session's path says.
    let nest_level = unsafe {
        let nest_level = pg_sys::NewGUCNestLevel();
        set_for_these_statements(c"search_path", c"pg_catalog, pg_temp");
        nest_level
    };
    identity.confine_to(owner);
    let result = body();
    identity.take_again();
    // SAFETY: main thread; ends the nest level begun above.
    unsafe { pg_sys::AtEOXact_GUC(true, nest_level) };
    result
}

/// The same for rows that are written without SQL. No name is looked up for them, so the search path may stay; should the
/// tables belong to somebody who is no superuser, what he made of their indexes still runs as him.
pub fn confined<R>(body: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    let identity = Identity::present();
    identity.confine_to(schema_owner()?);
    let result = body();
    identity.take_again();
    result
}

/// The same for statements that read a call by its key.
///
/// Planning takes many times as long as running them, and the planner never finds that out by itself: with partitions, a
/// plan made for the very values always looks cheaper.
#[allow(unsafe_code, reason = "pgrx has no wrapper for it")]
pub fn reading<R>(body: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    acting(|| {
        // SAFETY: main thread, inside the GUC nest level of `acting`, which also undoes it.
        unsafe { set_for_these_statements(c"plan_cache_mode", c"force_generic_plan") };
        body()
    })
}

/// Changes a setting until the caller's GUC nest level ends.
#[allow(unsafe_code, reason = "pgrx has no wrapper for it")]
unsafe fn set_for_these_statements(name: &CStr, value: &CStr) {
    // SAFETY: main thread, inside a transaction and a GUC nest level that the caller closes.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
}

/// The owner of `edge_store`, from the system cache: the cost of a hash look-up, and always up to date.
#[allow(unsafe_code, reason = "pgrx has no wrapper for it")]
fn schema_owner() -> Result<pg_sys::Oid, Error> {
    // SAFETY: main thread, inside a transaction. The tuple is read before it is released, and a tuple of the
    // NAMESPACENAME cache is laid out as FormData_pg_namespace.
    unsafe {
        let name = pg_sys::Datum::from(c"edge_store".as_ptr());
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::NAMESPACENAME as i32, name);
        if tuple.is_null() {
            return Err(Error::NotInstalled);
        }
        let owner = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_namespace>()).nspowner;
        pg_sys::ReleaseSysCache(tuple);
        Ok(owner)
    }
}
