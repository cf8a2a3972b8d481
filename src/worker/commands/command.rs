//! The process that runs the SQL of one run of a schedule, as the schedule's owner, and writes down what became of it.
//!
//! Runs on the main thread of its process; it has no other. Three parts, each with transactions of its own: the run is
//! marked as begun, the command is run as in a session, and its end is recorded.

#![allow(unsafe_code, reason = "the symbol's name is how Postgres finds it, and its argument is a datum")]

use std::ffi::{CStr, CString};
use std::time::{Duration, SystemTime};

use pgrx::bgworkers::BackgroundWorker;
use pgrx::prelude::*;

use crate::domain::schedule::command::{AfterError, Wish, after_error, is_cancel, limit_of};
use crate::error::Error;
use crate::guc::Settings;
use crate::store::owner;
use crate::store::schedules::commands::{self, Begun};
use crate::store::schedules::due;
use crate::store::schedules::runs::{self, End, Slot};
use crate::store::transaction::{self, Aborted, Durability, attempt, under_snapshot};
use crate::worker::activity::{Activity, flush_statistics, show};
use crate::worker::commands::execute::{Quoted, execute};
use crate::worker::commands::living;
use crate::worker::failpoint;
use crate::worker::identity::{Login, become_role, load_session_libraries, reset, set};
use crate::worker::interrupts::{Limit, forget_cancel, take_signals};
use crate::worker::latch::{self, Woken};
use crate::worker::report;

/// How often recording an end is tried: the command has been run, and nobody else knows how it went.
const RECORDING_TRIES: u32 = 5;

const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// What our own transactions need, whatever the role's defaults are and whatever the command has set.
const OURS: &[(&CStr, &CStr)] = &[
    (c"default_transaction_read_only", c"off"),
    (c"default_transaction_isolation", c"read committed"),
    // Whoever waits in a transaction holds up vacuum. See [`patiently`].
    (c"lock_timeout", c"2s"),
    // A crash of the server that a command brings about must find its attempt counted.
    (c"synchronous_commit", c"local"),
    (c"exit_on_error", c"off"),
    #[cfg(not(any(feature = "pg14", feature = "pg15", feature = "pg16")))]
    (c"transaction_timeout", c"0"),
];

/// What the dispatcher asks of a process.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    pub database: pg_sys::Oid,
    pub login: Login,
    pub slot: Slot,
    pub run: i64,
}

/// The command's process.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn pg_edge_command_main(argument: pg_sys::Datum) {
    // SAFETY: the dispatcher passes a role's oid.
    let role = unsafe { pg_sys::Oid::from_datum(argument, false) }.unwrap_or(pg_sys::InvalidOid);
    let Some(order) = Order::parse(BackgroundWorker::get_extra()) else { return };
    take_signals();
    if let Err(aborted) = become_role(order.database, role, order.login).and_then(|()| load_session_libraries()) {
        return report::log(&format!("command cannot begin: {aborted}"));
    }
    if !living::enter(order.run) {
        return report::warn("command cannot begin: too many are run at once");
    }
    match begin(role, order.slot) {
        Ok(Some(begun)) => carry_out(&order, &begun),
        // It was cancelled, or its schedule was dropped or altered, since the dispatcher looked.
        Ok(None) => {}
        Err(aborted) => report::log(&format!("command cannot begin: {aborted}")),
    }
    flush_statistics(Activity::Idle);
}

/// Marks the run as begun. From here on, a process that ends without a word has interrupted it.
fn begin(role: pg_sys::Oid, slot: Slot) -> Result<Option<Begun>, Aborted> {
    OURS.iter().for_each(|(name, value)| set(name, value));
    let begun = patiently(|| {
        attempt(|| {
            let begun = under_snapshot(|| owner::acting(|| commands::begin(slot, role)))?;
            Ok((begun, Durability::Full))
        })
    });
    OURS.iter().for_each(|(name, _)| reset(name));
    begun
}

fn carry_out(order: &Order, begun: &Begun) {
    failpoint::hit("command_begun");
    let end = run(begun, limit_of(begun.timeout_ms, Settings::current().sql_job_timeout));
    failpoint::hit("command_ended");
    show(Activity::Busy, "recording the end of a command");
    for _ in 0..RECORDING_TRIES {
        match patiently(|| record(order.slot, begun, &end)) {
            Ok(()) => return,
            Err(aborted) => report::log(&format!("command \"{}\": its end cannot be recorded: {aborted}", begun.name)),
        }
        if pause() == Woken::Orphaned {
            return;
        }
    }
}

/// Does something anew for as long as somebody has locked what it needs. In between there is no transaction.
fn patiently<R>(mut attempt: impl FnMut() -> Result<R, Aborted>) -> Result<R, Aborted> {
    loop {
        match attempt() {
            Err(aborted) if aborted.sqlstate == PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE && pause() == Woken::Up => {}
            result => return result,
        }
    }
}

/// Waits until something may be tried again. Who wants the process to end, ends it here.
fn pause() -> Woken {
    // A cancel is meant for a command, and none is run now.
    latch::wait(BETWEEN_TRIES).unwrap_or(Woken::Up)
}

/// How a command failed.
struct Failure {
    sqlstate: String,
    message: String,
}

/// Runs the command. What it has committed stays, whatever happens afterwards.
fn run(begun: &Begun, limit: Option<Duration>) -> Result<Option<u64>, Failure> {
    // No text of Postgres' holds a zero.
    let text = CString::new(begun.text.clone()).unwrap_or_default();
    if let Ok(name) = CString::new(format!("pg_edge command: {}", begun.name)) {
        set(c"application_name", &name);
    }
    let quoted = Quoted::begin(&text);
    let limiting = limit.map(Limit::begin);
    let result = transaction::session(|| execute(&text));
    let has_expired = limiting.as_ref().is_some_and(Limit::has_expired);
    drop(limiting);
    // From here on nobody cancels this process any more, and a cancel that has come too late is none.
    living::command_is_over();
    forget_cancel();
    let result = result.map_err(|aborted| {
        let sqlstate = aborted.sqlstate_text();
        let message = match limit {
            Some(limit) if has_expired && is_cancel(&sqlstate) => {
                format!("the command was cancelled: it took longer than its time limit of {limit:?}")
            }
            _ => aborted.message,
        };
        Failure { sqlstate, message }
    });
    if let Err(Failure { sqlstate, message }) = &result {
        report::log(&format!("command \"{}\" failed: {message} ({sqlstate})", begun.name));
    }
    drop(quoted);
    result
}

/// Writes down how the command ended, or that it is tried again.
fn record(slot: Slot, begun: &Begun, end: &Result<Option<u64>, Failure>) -> Result<(), Aborted> {
    OURS.iter().for_each(|(name, value)| set(name, value));
    attempt(|| {
        under_snapshot(|| {
            owner::acting(|| match end {
                Ok(rows) => succeeded(slot, *rows),
                Err(failure) => failed(slot, begun, failure),
            })
        })?;
        Ok(((), Durability::Full))
    })
}

fn succeeded(slot: Slot, rows: Option<u64>) -> Result<(), Error> {
    let rows = rows.map(|rows| i64::try_from(rows).unwrap_or(i64::MAX));
    runs::finish(slot, &End { state: "succeeded", rows, sqlstate: None, error: None })?;
    Ok(())
}

fn failed(slot: Slot, begun: &Begun, failure: &Failure) -> Result<(), Error> {
    let Failure { sqlstate, message } = failure;
    let unwanted = commands::cancel_asked(slot)?;
    let wish = if unwanted.is_some() { Wish::End } else { Wish::Run };
    let after = after_error(sqlstate, wish, begun.tries, SystemTime::now(), fastrand::f64());
    let (state, error) = match after {
        AfterError::Again(at) => return commands::try_again(slot, at, Some(sqlstate), message),
        // All that Postgres says is that somebody asked for it.
        AfterError::Cancelled => ("cancelled", unwanted.unwrap_or_default().to_owned()),
        AfterError::Failed | AfterError::Hopeless => ("failed", message.clone()),
    };
    let end = End { state, rows: None, sqlstate: Some(sqlstate.clone()), error: Some(error) };
    if runs::finish(slot, &end)? && after == AfterError::Hopeless {
        let name = begun.name.replace('\'', "''");
        let note =
            format!("stopped because its command failed: {message}; edge.resume_schedule('{name}') starts it again");
        due::disable(&[(slot.schedule, note)])?;
    }
    Ok(())
}

impl Order {
    /// As the process is given it.
    pub fn to_text(self) -> String {
        let Self { database, login, slot, run } = self;
        let micros: i64 = slot.scheduled_for.into_inner();
        let can_login = u8::from(login == Login::Allowed);
        format!("{} {can_login} {} {micros} {run}", database.to_u32(), slot.schedule)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(' ').map(|number| number.parse::<i64>().ok());
        let mut next = || numbers.next().flatten();
        let database = pg_sys::Oid::from(u32::try_from(next()?).ok()?);
        let login = Login::from(next()? == 1);
        let schedule = next()?;
        let scheduled_for = TimestampWithTimeZone::try_from(next()?).ok()?;
        Some(Self { database, login, slot: Slot { schedule, scheduled_for }, run: next()? })
    }
}
