//! A runner: a process that runs the callbacks of one role, as that role, and ends when there are none left.
//!
//! Runs on the main thread of its process; it has no other. User code never runs in a dispatcher.

#![allow(unsafe_code, reason = "identity, signals and timeouts of a process that runs user code")]

use std::ffi::CStr;
use std::time::{Duration, Instant};

use pgrx::bgworkers::BackgroundWorker;
use pgrx::prelude::*;

use super::activity::{Activity, flush_statistics, show};
use super::report;
use crate::domain::callback::{self, Next, Past};
use crate::error::Error;
use crate::guc::Settings;
use crate::store::callbacks::{self, Taken};
use crate::store::calls::{self, Viewer};
use crate::store::owner;
use crate::store::transaction::{Aborted, Durability, attempt, under_snapshot};

/// After this long a runner ends even if there is more, so that other roles get their turn.
pub const SHIFT: Duration = Duration::from_secs(10);

/// The SQLSTATE of a callback that is given up: "connection does not exist" is what a client would have been told.
const GAVE_UP: &str = "08003";

/// The runner's process.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn pg_edge_runner_main(argument: pg_sys::Datum) {
    // SAFETY: the dispatcher passes a role's oid.
    let role = unsafe { pg_sys::Oid::from_datum(argument, false) }.unwrap_or(pg_sys::InvalidOid);
    let Some((database, can_login)) = read_extra(BackgroundWorker::get_extra()) else { return };
    take_signals();
    become_role(database, role, can_login);
    allow_writing();
    let settings = Settings::current();
    let started = Instant::now();
    show(Activity::Busy, "running callbacks");
    let mut ran = Ran::One;
    // What has been counted is run, or it would be counted for nothing.
    while matches!(ran, Ran::Counted(_)) || (started.elapsed() < SHIFT && ran != Ran::None) {
        ran = run_next(role, &settings, ran);
        flush_statistics(Activity::Busy);
    }
    flush_statistics(Activity::Idle);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ran {
    One,
    None,
    /// The run of this call's callback was counted, and is still to be made.
    Counted(i64),
}

/// Runs one callback, in a transaction that also forgets it: it has run exactly if the transaction commits.
fn run_next(role: pg_sys::Oid, settings: &Settings, before: Ran) -> Ran {
    let mut current: Option<Taken> = None;
    let outcome = attempt(|| {
        under_snapshot(|| {
            let Some(taken) = owner::acting(|| callbacks::next(role))? else {
                return Ok((Ran::None, Durability::Full));
            };
            let call = taken.call;
            let past = if before == Ran::Counted(call) { Past::CountedNow } else { taken.past };
            match callback::next(past, settings.max_interruptions) {
                Next::Run => {
                    current = Some(taken.clone());
                    run(role, &taken, settings.callback_timeout)?;
                    Ok((Ran::One, Durability::Full))
                }
                Next::Count(runs) => {
                    owner::acting(|| callbacks::count_run(call, runs))?;
                    Ok((Ran::Counted(call), Durability::Full))
                }
                Next::GiveUp(runs) => {
                    let said =
                        format!("the callback was begun {runs} times, never came to its end, and is not run again");
                    owner::acting(|| callbacks::record_error(role, &taken, GAVE_UP, &said))?;
                    Ok((Ran::One, Durability::Full))
                }
            }
        })
    });
    // Only now: the triggers that the callback deferred run at its commit.
    unlimit_time();
    match outcome {
        Ok(ran) => ran,
        Err(aborted) => match current {
            Some(taken) => record(role, &taken, &aborted),
            None => {
                report::log(&format!("runner: {aborted}"));
                Ran::None
            }
        },
    }
}

fn run(role: pg_sys::Oid, taken: &Taken, timeout: Duration) -> Result<(), Error> {
    owner::acting(|| callbacks::forget(taken.call))?;
    // Whatever the row says, a role's function is given a call of that role.
    let viewer = Viewer { role, sees_all: false };
    let response = owner::acting(|| calls::response(taken.call, viewer))?;
    let Some(invocation) = owner::acting(|| callbacks::invocation(taken.function))? else {
        ereport!(ERROR, PgSqlErrorCode::ERRCODE_UNDEFINED_FUNCTION, "the callback function no longer exists");
    };
    if let Some(response) = response {
        limit_time(timeout);
        callbacks::invoke(&invocation, response);
    }
    Ok(())
}

fn record(role: pg_sys::Oid, taken: &Taken, aborted: &Aborted) -> Ran {
    let sqlstate = aborted.sqlstate_text();
    let noted = attempt(|| {
        under_snapshot(|| owner::acting(|| callbacks::record_error(role, taken, &sqlstate, &aborted.message)))?;
        Ok(((), Durability::Full))
    });
    match noted {
        Ok(()) => Ran::One,
        Err(failed) => {
            report::log(&format!("runner cannot record the error of a callback: {failed}"));
            Ran::None
        }
    }
}

/// Connects as the role, so that RESET ROLE and RESET SESSION AUTHORIZATION lead nowhere else.
fn become_role(database: pg_sys::Oid, role: pg_sys::Oid, can_login: bool) {
    if can_login {
        BackgroundWorker::connect_worker_to_spi_by_oid(Some(database), Some(role));
        // ALTER ROLE … SET role makes a session begin as another role; the callback is this one's.
        set(c"role", c"none");
        return;
    }
    // Postgres before 17 lets no background worker connect as a role without LOGIN. So the session becomes the role
    // afterwards, for good: in a context of changed identity, as inside a SECURITY DEFINER function, Postgres
    // refuses SET ROLE and SET SESSION AUTHORIZATION, and the context is never left, not even at commit.
    BackgroundWorker::connect_worker_to_spi_by_oid(Some(database), None);
    // SAFETY: main thread, connected, outside a transaction.
    unsafe {
        pg_sys::SetSessionAuthorization(role, false);
        pg_sys::SetUserIdAndSecContext(role, pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32);
    }
}

/// Each callback's transaction also forgets it, so it must be one that writes and that sees what has just committed,
/// whatever the role's own defaults are.
fn allow_writing() {
    set(c"default_transaction_read_only", c"off");
    set(c"default_transaction_isolation", c"read committed");
}

fn set(name: &'static CStr, value: &'static CStr) {
    // SAFETY: main thread, connected, outside a transaction; both are C strings that live for ever.
    unsafe {
        pg_sys::SetConfigOption(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
        );
    }
}

/// A runner is interrupted like any session: at once, in the middle of a statement.
fn take_signals() {
    // SAFETY: main thread, before any statement runs; both handlers are Postgres' own.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        {
            pg_sys::pqsignal(pg_sys::SIGTERM as i32, Some(die));
            pg_sys::pqsignal(pg_sys::SIGHUP as i32, Some(SignalHandlerForConfigReload));
        }
        #[cfg(feature = "pg18")]
        {
            pg_sys::pqsignal_be(pg_sys::SIGTERM as i32, Some(die));
            pg_sys::pqsignal_be(pg_sys::SIGHUP as i32, Some(SignalHandlerForConfigReload));
        }
        pg_sys::BackgroundWorkerUnblockSignals();
    }
}

unsafe extern "C-unwind" {
    // Signal handlers are given to Postgres as they are, so without pgrx' guards around them.
    fn die(signal: i32);
    fn SignalHandlerForConfigReload(signal: i32);
    fn enable_timeout_after(id: i32, delay_ms: i32);
    fn disable_timeout(id: i32, keep_indicator: bool);
}

/// `STATEMENT_TIMEOUT` of Postgres' enum TimeoutId, the same in all versions supported.
const STATEMENT_TIMEOUT: i32 = 3;

fn limit_time(timeout: Duration) {
    let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: main thread; the timeout is registered in every process that is connected to a database.
    unsafe { enable_timeout_after(STATEMENT_TIMEOUT, millis) };
}

fn unlimit_time() {
    // SAFETY: as above; disabling a timeout that is not set does nothing.
    unsafe { disable_timeout(STATEMENT_TIMEOUT, false) };
}

fn read_extra(extra: &str) -> Option<(pg_sys::Oid, bool)> {
    let (database, can_login) = extra.split_once(' ')?;
    Some((pg_sys::Oid::from(database.parse::<u32>().ok()?), can_login == "1"))
}
