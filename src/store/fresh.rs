//! Finding new calls, as the dispatcher does, in the order that its cursor rests on.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use pgrx::prelude::*;

use super::by_key::{self, Row};
use super::scan::{Body, INLINE, Queued, columns, format, queued, terms};
use super::slots::REQUESTS;
use super::statement::statements;
use super::table::{self, Column};
use super::time::from_timestamp;
use crate::domain::batch::Round;
use crate::domain::call::CallId;
use crate::domain::cursor::{IdRange, full_id};
use crate::error::Error;

/// What a scan found, and under which snapshot.
#[derive(Debug)]
pub struct Found {
    pub calls: Vec<Queued>,
    pub xmin: u64,
    /// The transaction id that is handed out next.
    pub next_xid: u64,
}

/// Whether calls that have already ended must be looked out for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// All calls in the ranges are new.
    Fresh,
    /// A predecessor may have finished, taken on or deferred some of them.
    Recovering,
}

statements! {
    RECOVERING_RANGE(INT8OID, INT8OID, INT8OID) = concat!("
        select ", columns!(), ", 0::smallint, 0::smallint
        from edge_store.request
        where request.id between $1 and $2
          and not exists (select from edge_store.response where response.call_id = request.id and response.slot = request.slot)
          and not exists (select from edge_store.deferred where deferred.call_id = request.id)
        order by request.id
        limit $3");
}

/// The highest id handed out so far. Read it before the snapshot of the scan that follows.
pub fn last_handed_out() -> Result<i64, Error> {
    Ok(table::last_value(c"call_id")?.unwrap_or(0))
}

/// Reads at most `limit` calls of the ranges, lowest ids first, under the snapshot that is active.
pub fn calls_in(ranges: &[IdRange], care: Care, limit: usize) -> Result<Found, Error> {
    let (xmin, next_xid) = horizon();
    let mut calls = Vec::new();
    for range in ranges {
        let left = limit - calls.len();
        if left == 0 {
            break;
        }
        match care {
            Care::Fresh => calls.extend(new_calls(range, left)?),
            Care::Recovering => calls.extend(recovering(range, left)?),
        }
    }
    if care == Care::Fresh && !calls.is_empty() {
        let cancelled = cancelled_in_range(calls.first(), calls.last())?;
        calls.iter_mut().for_each(|call| call.cancelled = cancelled.contains(&call.id.0));
    }
    Ok(Found { calls, xmin, next_xid })
}

/// Whoever has cancelled one of these calls, or one between them. Mostly nobody.
fn cancelled_in_range(first: Option<&Queued>, last: Option<&Queued>) -> Result<HashSet<i64>, Error> {
    let (Some(first), Some(last)) = (first, last) else { return Ok(HashSet::new()) };
    let mut cancelled = HashSet::new();
    by_key::visit_range(c"cancellation", (first.id.0, last.id.0), &[(c"call_id", pg_sys::INT8OID)], |row| {
        cancelled.extend(row.get::<i64>(0)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(cancelled)
}

/// Calls that nobody has looked at yet, straight from the slots.
fn new_calls(range: &IdRange, limit: usize) -> Result<Vec<Queued>, Error> {
    let mut calls = Vec::new();
    for partition in REQUESTS {
        let before = calls.len();
        by_key::visit_range(partition, (range.first, range.last), &COLUMNS, |row| {
            calls.push(new_call(row)?);
            let full = calls.len() - before >= limit;
            Ok(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
    }
    // In order already, unless the ring has just moved on.
    calls.sort_by_key(|call| call.id.0);
    calls.truncate(limit);
    Ok(calls)
}

fn recovering(range: &IdRange, limit: usize) -> Result<Vec<Queued>, Error> {
    Spi::connect(|client| {
        let args = [range.first.into(), range.last.into(), (limit as i64).into()];
        RECOVERING_RANGE.with(|statement| statement.read(client, &args))?.map(|row| queued(&row)).collect()
    })
}

/// Below which id every transaction had ended when the active snapshot was taken, and the id that is handed out next. No
/// SQL function tells the latter without taking one.
#[allow(unsafe_code, reason = "pgrx has no wrapper for it")]
pub(super) fn horizon() -> (u64, u64) {
    // SAFETY: main thread, with an active snapshot; reads a counter in shared memory under its lock.
    let (xmin, next) = unsafe { ((*pg_sys::GetActiveSnapshot()).xmin, pg_sys::ReadNextFullTransactionId().value) };
    (full_id(xmin.into_inner(), next), next)
}

/// What is read of a new call, in the table's order.
const COLUMNS: [Column; 18] = [
    (c"id", pg_sys::INT8OID),
    (c"queued_at", pg_sys::TIMESTAMPTZOID),
    (c"owner", pg_sys::OIDOID),
    (c"timeout_ms", pg_sys::INT4OID),
    (c"slot", pg_sys::INT2OID),
    (c"max_attempts", pg_sys::INT2OID),
    (c"method", pg_sys::TEXTOID),
    (c"url", pg_sys::TEXTOID),
    (c"endpoint", pg_sys::TEXTOID),
    (c"headers", pg_sys::TEXTOID),
    (c"body", pg_sys::BYTEAOID),
    (c"idempotency_key", pg_sys::TEXTOID),
    (c"run_at", pg_sys::TIMESTAMPTZOID),
    (c"on_complete", pg_sys::OIDOID),
    (c"stream", pg_sys::TEXTOID),
    (c"deadline_ms", pg_sys::INT4OID),
    (c"heartbeat_ms", pg_sys::INT4OID),
    (c"round", pg_sys::INT2OID),
];

/// The values of [`COLUMNS`].
fn new_call(row: &Row<'_>) -> Result<Queued, Error> {
    let body = match row.bytes(10)? {
        None => Body::None,
        Some(size) if size > INLINE => Body::Stored(size),
        Some(_) => row.get::<Vec<u8>>(10)?.map_or(Body::None, |body| Body::Inline(Bytes::from(body))),
    };
    Ok(Queued {
        id: CallId(row.get(0)?.ok_or(Error::Malformed)?),
        queued_at: row.get::<TimestampWithTimeZone>(1)?.map(from_timestamp).ok_or(Error::Malformed)?,
        owner: row.get(2)?.ok_or(Error::Malformed)?,
        timeout: row.get::<i32>(3)?.map(|millis| Duration::from_millis(u64::from(millis.unsigned_abs()))),
        slot: row.get(4)?.ok_or(Error::Malformed)?,
        max_attempts: row.get::<i16>(5)?.map(|attempts| u32::from(attempts.unsigned_abs())),
        method: row.get(6)?.unwrap_or_default(),
        url: row.get(7)?.unwrap_or_default(),
        endpoint: row.get(8)?,
        headers: row.get(9)?,
        body,
        idempotency_key: row.get(11)?,
        run_at: row.get::<TimestampWithTimeZone>(12)?.map(from_timestamp),
        on_complete: row.get(13)?,
        stream: row.get(14)?.and_then(format),
        terms: terms(row.get(15)?, row.get(16)?),
        round: row.get(17)?.map(Round),
        cancelled: false,
        tries: 0,
        interruptions: 0,
    })
}
