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
use crate::worker::shared;
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
    let entry = shared::database(my_database());
    let last_error = entry.and_then(shared::last_error);
    let running = entry.filter(|entry| is_alive(entry.pid.load(Ordering::Acquire)));
    let Some(entry) = running else {
        return (None, "down".to_owned(), None, 0, queue_depth, oldest_pending, last_error);
    };
    let since_1970 = entry.gauges.started_at.load(Ordering::Relaxed).unsigned_abs();
    let since = to_timestamp(UNIX_EPOCH + Duration::from_micros(since_1970));
    let in_flight = i32::try_from(entry.gauges.in_flight.load(Ordering::Relaxed)).unwrap_or(i32::MAX);
    let state = if paused { "paused" } else { "running" };
    let pid = entry.pid.load(Ordering::Acquire);
    (Some(pid), state.to_owned(), Some(since), in_flight, queue_depth, oldest_pending, last_error)
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
