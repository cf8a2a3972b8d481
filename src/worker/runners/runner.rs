//! A runner: a process that runs the callbacks of one role, as that role, and ends when there are none left.
//!
//! Runs on the main thread of its process; it has no other. User code never runs in a dispatcher.

#![allow(unsafe_code, reason = "the symbol's name is how Postgres finds it, and its argument is a datum")]

use std::time::{Duration, Instant};

use pgrx::bgworkers::BackgroundWorker;
use pgrx::prelude::*;

use super::collector;
use crate::domain::callback::{self, Next, Past};
use crate::error::Error;
use crate::guc::Settings;
use crate::store::callbacks::{self, COLLECTOR, Taken};
use crate::store::calls::{self, Viewer};
use crate::store::owner;
use crate::store::transaction::{Aborted, Durability, attempt, under_snapshot};
use crate::worker::activity::{Activity, flush_statistics, show};
use crate::worker::identity::{Login, become_role, set};
use crate::worker::interrupts::{limit_time, take_signals, unlimit_time};
use crate::worker::report;

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
    let Some((database, login)) = read_extra(BackgroundWorker::get_extra()) else { return };
    take_signals();
    if role == COLLECTOR {
        return collector::run(database);
    }
    if let Err(aborted) = become_role(database, role, login) {
        return report::log(&format!("runner cannot become its role: {aborted}"));
    }
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

/// Each callback's transaction also forgets it, so it must be one that writes and that sees what has just committed,
/// whatever the role's own defaults are.
fn allow_writing() {
    set(c"default_transaction_read_only", c"off");
    set(c"default_transaction_isolation", c"read committed");
}

fn read_extra(extra: &str) -> Option<(pg_sys::Oid, Login)> {
    let (database, can_login) = extra.split_once(' ')?;
    Some((pg_sys::Oid::from(database.parse::<u32>().ok()?), Login::from(can_login == "1")))
}
