//! What the views of statistics are made with.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::SystemTime;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::iter::TableIterator;
use pgrx::prelude::*;

use crate::store::time::to_timestamp;
use crate::worker::latch::my_database;
use crate::worker::stats::{self, Row, breaker, gate};

/// The endpoints of this database, as its dispatcher last saw them.
#[pg_extern(schema = "edge_store", volatile, parallel_unsafe)]
#[allow(clippy::type_complexity, reason = "pgrx reads the column names out of the signature")]
fn endpoint_stats() -> TableIterator<
    'static,
    (
        name!(endpoint, String),
        name!(state, String),
        name!(breaker, String),
        name!(open_until, Option<TimestampWithTimeZone>),
        name!(parked_until, Option<TimestampWithTimeZone>),
        name!(held_until, Option<TimestampWithTimeZone>),
        name!(in_flight, i32),
        name!(waiting, i32),
        name!(attempts, i64),
        name!(failures, i64),
        name!(succeeded, i64),
        name!(failed, i64),
        name!(retried, i64),
        name!(breaker_openings, i64),
        name!(last_seen, Option<TimestampWithTimeZone>),
        name!(stats_reset, Option<TimestampWithTimeZone>),
        name!(last_error, Option<String>),
        name!(last_error_at, Option<TimestampWithTimeZone>),
        name!(key_refused_since, Option<TimestampWithTimeZone>),
    ),
> {
    let now = SystemTime::now();
    let rows = stats::of_database(my_database()).into_iter().map(move |stats::Shown { name, row, last_error }| {
        let shown = |time: Option<SystemTime>| time.map(to_timestamp);
        let open_until = stats::time(&row.opens_at).filter(|at| *at > now);
        (
            name,
            state(row).to_owned(),
            breaker_state(row, open_until).to_owned(),
            shown(open_until),
            shown(stats::time(&row.parked_until).filter(|until| *until > now)),
            shown(stats::time(&row.held_until).filter(|until| *until > now)),
            small(&row.in_flight),
            small(&row.waiting),
            large(&row.attempts),
            large(&row.failures),
            large(&row.succeeded),
            large(&row.failed),
            large(&row.retried),
            large(&row.openings),
            shown(stats::time(&row.seen_at)),
            shown(stats::time(&row.counted_since)),
            last_error,
            shown(stats::time(&row.error_at)),
            shown(stats::time(&row.refused_since)),
        )
    });
    TableIterator::new(rows)
}

fn state(row: &Row) -> &'static str {
    if row.gate.load(Ordering::Relaxed) == gate::OPEN { "enabled" } else { "disabled" }
}

/// A breaker whose time is up lets a probe out, whether the dispatcher has looked at it since or not.
fn breaker_state(row: &Row, open_until: Option<SystemTime>) -> &'static str {
    match (row.breaker.load(Ordering::Relaxed), open_until) {
        (breaker::CLOSED, _) => "closed",
        (breaker::OPEN, Some(_)) => "open",
        _ => "half_open",
    }
}

fn small(count: &AtomicU32) -> i32 {
    i32::try_from(count.load(Ordering::Relaxed)).unwrap_or(i32::MAX)
}

fn large(count: &AtomicU64) -> i64 {
    i64::try_from(count.load(Ordering::Relaxed)).unwrap_or(i64::MAX)
}
