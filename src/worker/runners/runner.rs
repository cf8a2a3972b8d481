//! A runner: a process that runs the callbacks of one role and its functions for messages, as that role, and ends when there
//! are none left.
//!
//! Runs on the main thread of its process; it has no other. User code never runs in a dispatcher.

#![allow(unsafe_code, reason = "the symbol's name is how Postgres finds it, and its argument is a datum")]

use std::time::{Duration, Instant};

use pgrx::bgworkers::BackgroundWorker;
use pgrx::prelude::*;

use super::collector;
use crate::domain::callback::{self, Next, Past};
use crate::guc::Settings;
use crate::store::callbacks::COLLECTOR;
use crate::store::invocation;
use crate::store::transaction::{Aborted, Durability, attempt, under_snapshot};
use crate::worker::activity::{Activity, flush_statistics, show};
use crate::worker::identity::{Login, become_role, set};
use crate::worker::interrupts::{limit_time, take_signals, unlimit_time};
use crate::worker::report;
use crate::worker::runners::errand::{Errand, Kind, Ready};

/// After this long a runner ends even if there is more, so that other roles get their turn.
pub const SHIFT: Duration = Duration::from_secs(10);

/// So many of a kind are run before the other kind has its turn.
const IN_A_ROW: usize = 32;

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
    show(Activity::Busy, "running functions");
    work(role, &settings, started);
    flush_statistics(Activity::Idle);
}

/// Runs what there is of both kinds, in turn.
fn work(role: pg_sys::Oid, settings: &Settings, started: Instant) {
    let (mut kind, mut ran) = (Kind::Callback, Ran::One);
    let (mut in_a_row, mut in_vain) = (0, 0);
    // What has been counted is run, or it would be counted for nothing.
    while matches!(ran, Ran::Counted(_)) || (started.elapsed() < SHIFT && in_vain < 2) {
        ran = run_next(role, settings, kind, ran);
        flush_statistics(Activity::Busy);
        match ran {
            Ran::None => in_vain += 1,
            Ran::One | Ran::Counted(_) => (in_vain, in_a_row) = (0, in_a_row + 1),
        }
        let has_had_its_turn = ran == Ran::None || (ran == Ran::One && in_a_row >= IN_A_ROW);
        if has_had_its_turn {
            (kind, in_a_row) = (kind.other(), 0);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ran {
    One,
    None,
    /// The run for this call or message was counted, and is still to be made.
    Counted(i64),
}

/// How far an errand has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// What its function is given is being read.
    Preparing,
    Running,
}

impl Phase {
    /// Whether an error is the errand's, and is not met again by trying again: while only our own statements have run, somebody else's
    /// lock is in their way at times.
    fn is_at_fault(self, aborted: &Aborted) -> bool {
        self == Self::Running || !aborted.is_transient()
    }
}

/// Runs one, in a transaction that also forgets it: it has run exactly if the transaction commits.
fn run_next(role: pg_sys::Oid, settings: &Settings, kind: Kind, before: Ran) -> Ran {
    let mut current: Option<(Errand, Phase)> = None;
    let outcome = attempt(|| {
        under_snapshot(|| {
            let Some(errand) = kind.next(role)? else {
                return Ok((Ran::None, Durability::Full));
            };
            let key = errand.key();
            let past = if before == Ran::Counted(key) { Past::CountedNow } else { errand.past() };
            match callback::next(past, settings.max_interruptions) {
                Next::Run => {
                    current = Some((errand.clone(), Phase::Preparing));
                    if let Some(ready) = errand.prepare(role)? {
                        current = Some((errand, Phase::Running));
                        run(&ready, settings.callback_timeout);
                    }
                    Ok((Ran::One, Durability::Full))
                }
                Next::Count(runs) => {
                    errand.count_run(runs)?;
                    Ok((Ran::Counted(key), Durability::Full))
                }
                Next::GiveUp(runs) => {
                    let name = errand.name();
                    let said =
                        format!("the {name} was begun {runs} times, never came to its end, and is not run again");
                    errand.record_error(role, GAVE_UP, &said)?;
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
            Some((errand, phase)) if phase.is_at_fault(&aborted) => record(role, &errand, &aborted),
            hindered => {
                report::log(&format!("runner: {aborted}"));
                if let Some((errand, _)) = hindered {
                    do_not_count(&errand);
                }
                Ran::None
            }
        },
    }
}

fn run(ready: &Ready, timeout: Duration) {
    limit_time(timeout);
    invocation::invoke(&ready.invocation, ready.argument);
}

fn record(role: pg_sys::Oid, errand: &Errand, aborted: &Aborted) -> Ran {
    let sqlstate = aborted.sqlstate_text();
    let noted = attempt(|| {
        under_snapshot(|| errand.record_error(role, &sqlstate, &aborted.message))?;
        Ok(((), Durability::Full))
    });
    match noted {
        Ok(()) => Ran::One,
        Err(failed) => {
            report::log(&format!("runner cannot record the error of a {}: {failed}", errand.name()));
            Ran::None
        }
    }
}

/// Has the run that something was in the way of not count.
fn do_not_count(errand: &Errand) {
    let noted = attempt(|| {
        under_snapshot(|| errand.count_run(callback::without_this(errand.past())))?;
        Ok(((), Durability::Full))
    });
    if let Err(failed) = noted {
        report::log(&format!("runner cannot take back the count of a {}: {failed}", errand.name()));
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
