//! Running it: pause, resume, the worker's status, and what CREATE EXTENSION does.

use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use pgrx::datum::TimestampWithTimeZone;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::error::Error;
use crate::store::time::to_timestamp;
use crate::store::{control, owner};
use crate::worker::latch::{is_alive, my_database};
use crate::worker::queued::quota;
use crate::worker::shared::{self, Database};
use crate::worker::wake::{self, reason};

/// Sends nothing more in this database until `edge.resume()`.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn pause() -> Result<bool, ErrorReport> {
    set_paused(true)
}

/// Sends again.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn resume() -> Result<bool, ErrorReport> {
    set_paused(false)
}

fn set_paused(paused: bool) -> Result<bool, ErrorReport> {
    let changed = owner::acting(|| control::set_paused(paused))?;
    wake::at_commit(reason::CONTROL | reason::CALLS);
    Ok(changed)
}

/// What a dispatcher is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// There is none.
    Down,
    Paused,
    Running,
}

impl Doing {
    fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Paused => "paused",
            Self::Running => "running",
        }
    }
}

/// What this database's dispatcher is doing, and its last error. Unlike `edge.worker_status` it does not look at the queue.
#[pg_extern(schema = "edge_store", volatile, parallel_unsafe)]
fn dispatcher_state()
-> Result<TableIterator<'static, (name!(state, String), name!(last_error, Option<String>))>, ErrorReport> {
    let doing = match running() {
        None => Doing::Down,
        Some(_) if owner::acting(control::read)?.paused => Doing::Paused,
        Some(_) => Doing::Running,
    };
    let last_error = shared::database(my_database()).and_then(shared::last_error);
    Ok(TableIterator::once((doing.name().to_owned(), last_error)))
}

/// The entry of this database, where its dispatcher runs.
fn running() -> Option<&'static Database> {
    shared::database(my_database()).filter(|entry| is_alive(entry.pid.load(Ordering::Acquire)))
}

type WorkerStatus = (
    name!(pid, Option<i32>),
    name!(state, String),
    name!(since, Option<TimestampWithTimeZone>),
    name!(in_flight, i32),
    name!(queue_depth, i64),
    name!(oldest_pending, Option<TimestampWithTimeZone>),
    name!(last_error, Option<String>),
);

/// How this database's dispatcher is doing.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
#[allow(clippy::type_complexity, reason = "pgrx reads the column names out of the signature")]
fn worker_status() -> Result<
    TableIterator<
        'static,
        (
            name!(pid, Option<i32>),
            name!(state, String),
            name!(since, Option<TimestampWithTimeZone>),
            name!(in_flight, i32),
            name!(queue_depth, i64),
            name!(oldest_pending, Option<TimestampWithTimeZone>),
            name!(last_error, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let (queue_depth, oldest_pending) = owner::acting(control::backlog)?;
    let paused = owner::acting(control::read)?.paused;
    Ok(TableIterator::once(row(paused, queue_depth, oldest_pending)))
}

fn row(paused: bool, queue_depth: i64, oldest_pending: Option<TimestampWithTimeZone>) -> WorkerStatus {
    let last_error = shared::database(my_database()).and_then(shared::last_error);
    let Some(entry) = running() else {
        return (None, Doing::Down.name().to_owned(), None, 0, queue_depth, oldest_pending, last_error);
    };
    let since_1970 = entry.gauges.started_at.load(Ordering::Relaxed).unsigned_abs();
    let since = to_timestamp(UNIX_EPOCH + Duration::from_micros(since_1970));
    let in_flight = i32::try_from(entry.gauges.in_flight.load(Ordering::Relaxed)).unwrap_or(i32::MAX);
    let doing = if paused { Doing::Paused } else { Doing::Running };
    let pid = entry.pid.load(Ordering::Acquire);
    (Some(pid), doing.name().to_owned(), Some(since), in_flight, queue_depth, oldest_pending, last_error)
}

/// How many calls of each role have not ended: the caller's own, or all where he may see them.
#[pg_extern(schema = "edge_store", stable, parallel_restricted)]
fn queued_per_role() -> TableIterator<'static, (name!(owner, pg_sys::Oid), name!(calls, i64))> {
    let sees = owner::seen_by_current_role();
    let queued = quota::of_database(my_database()).into_iter();
    TableIterator::new(
        queued.filter(move |queued| sees.role(queued.role)).map(|queued| (queued.role, queued.calls.max(0))),
    )
}

/// Called by CREATE EXTENSION, as its last step: checks the database and asks for a dispatcher.
#[pg_extern(schema = "edge_store", volatile, parallel_unsafe)]
fn register_database() -> Result<(), ErrorReport> {
    let encoding = control::encoding()?;
    if !matches!(encoding.as_str(), "UTF8" | "SQL_ASCII") {
        return Err(Error::Encoding(encoding).into());
    }
    if shared::claim(my_database()).is_none() {
        warning!("pg_edge serves {} databases at most; this one has to wait", shared::DATABASES);
    }
    wake::at_commit(reason::CREATED | reason::CALLS);
    Ok(())
}
