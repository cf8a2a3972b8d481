//! Writing what became of calls, as the dispatcher does: whole batches at a time; responses and leases without SQL.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use pgrx::prelude::*;

use super::by_key;
use super::datum::Jsonb;
use super::events;
use super::slots::RESPONSES;
use super::statement::{column, statements};
use super::table::{Column, Rows, Value, value};
use super::time::{micros, to_timestamp};
use crate::domain::attempt::Timings;
use crate::domain::call::CallId;
use crate::domain::tally::Kind;
use crate::error::Error;

/// The final state of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Final {
    Succeeded,
    Failed,
    Cancelled,
    /// Its answer was streamed, and broke off.
    Truncated,
    /// Too old before it could be sent.
    Expired,
}

/// What is written of the wire's side of a try.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    pub started_at: Option<SystemTime>,
    pub timings: Timings,
    pub remote: Option<String>,
    pub status: Option<u16>,
    pub error_class: Option<&'static str>,
    pub error: Option<String>,
}

/// The end of a call.
#[derive(Clone, Debug)]
pub struct Ending {
    pub call: CallId,
    /// What the path of a call to a named endpoint came to.
    pub url: Option<String>,
    pub slot: i16,
    pub owner: pg_sys::Oid,
    pub state: Final,
    pub attempts: u32,
    pub finished_at: SystemTime,
    pub trace: Trace,
    pub headers: Option<String>,
    pub body: Option<Bytes>,
    /// Of a call whose answer was to be streamed.
    pub stream: Option<StreamEnd>,
}

/// What is known of a stream at its end.
#[derive(Clone, Debug, Default)]
pub struct StreamEnd {
    /// How many events it had; `None` where the answer was none, or came as a body.
    pub events: Option<u64>,
    pub dialect: Option<&'static str>,
    /// The tokens used, as a text of JSON.
    pub usage: Option<String>,
}

/// A try that was not the last.
#[derive(Clone, Debug)]
pub struct FailedTry {
    pub call: CallId,
    pub slot: i16,
    pub number: u32,
    pub trace: Trace,
    pub retry_at: SystemTime,
}

/// A call put off.
#[derive(Clone, Debug)]
pub struct Deferral {
    pub call: CallId,
    pub slot: i16,
    pub tries: u32,
    pub interruptions: u32,
    pub until: Until,
}

impl Deferral {
    /// Whether the call was tried before.
    pub fn kind(&self) -> Kind {
        Kind::of(self.tries, self.interruptions)
    }
}

/// What a deferred call waits for.
#[derive(Clone, Debug)]
pub enum Until {
    /// A time.
    Due(SystemTime),
    /// Room at its endpoint.
    Room(String),
}

/// A callback to be run.
#[derive(Clone, Debug)]
pub struct Callback {
    pub call: CallId,
    pub slot: i16,
    pub owner: pg_sys::Oid,
    pub function: pg_sys::Oid,
}

/// The calls that go on the wire together.
#[derive(Clone, Debug)]
pub struct Lease {
    pub batch: i64,
    pub epoch: i32,
    pub floor: i64,
    pub calls: Vec<Leased>,
}

/// One call of a lease.
#[derive(Clone, Copy, Debug)]
pub struct Leased {
    pub call: CallId,
    /// The number of the try.
    pub number: u32,
    pub interruptions: u32,
}

/// What is written of an ending, in the table's order.
const RESPONSE: [Column; 21] = [
    (c"call_id", pg_sys::INT8OID),
    (c"started_at", pg_sys::TIMESTAMPTZOID),
    (c"finished_at", pg_sys::TIMESTAMPTZOID),
    (c"dns_us", pg_sys::INT4OID),
    (c"connect_us", pg_sys::INT4OID),
    (c"tls_us", pg_sys::INT4OID),
    (c"first_byte_us", pg_sys::INT4OID),
    (c"total_us", pg_sys::INT4OID),
    (c"slot", pg_sys::INT2OID),
    (c"status_code", pg_sys::INT2OID),
    (c"attempts", pg_sys::INT2OID),
    (c"state", pg_sys::CHAROID),
    (c"remote", pg_sys::TEXTOID),
    (c"headers", pg_sys::TEXTOID),
    (c"body", pg_sys::BYTEAOID),
    (c"error_class", pg_sys::TEXTOID),
    (c"error", pg_sys::TEXTOID),
    (c"url", pg_sys::TEXTOID),
    (c"events", pg_sys::INT8OID),
    (c"dialect", pg_sys::TEXTOID),
    (c"usage", pg_sys::JSONBOID),
];

/// What is written of a lease.
const LEASE: [Column; 7] = [
    (c"batch", pg_sys::INT8OID),
    (c"epoch", pg_sys::INT4OID),
    (c"floor", pg_sys::INT8OID),
    (c"taken_at", pg_sys::TIMESTAMPTZOID),
    (c"call_ids", pg_sys::INT8ARRAYOID),
    (c"numbers", pg_sys::INT2ARRAYOID),
    (c"interruptions", pg_sys::INT2ARRAYOID),
];

statements! {
    INSERT_ATTEMPTS(INT8ARRAYOID, INT2ARRAYOID, INT2ARRAYOID, TIMESTAMPTZARRAYOID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID,
                    INT4ARRAYOID, INT4ARRAYOID, TEXTARRAYOID, INT2ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID) = "
        insert into edge_store.attempt
            (call_id, slot, number, started_at, dns_us, connect_us, tls_us, first_byte_us, total_us, remote, status_code,
             error_class, error, retry_at)
        select * from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";

    DEFER(INT8ARRAYOID, INT2ARRAYOID, INT2ARRAYOID, INT2ARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID) = "
        insert into edge_store.deferred (call_id, slot, tries, interruptions, due_at, parked_on)
        select * from unnest($1, $2, $3, $4, $5, $6)
        on conflict (call_id) do update
            set tries = excluded.tries, interruptions = excluded.interruptions, due_at = excluded.due_at,
                parked_on = excluded.parked_on";

    UNDEFER(INT8ARRAYOID) = "delete from edge_store.deferred where call_id = any ($1)";

    INSERT_LATE(INT8ARRAYOID, INT2ARRAYOID) = "
        insert into edge_store.late (call_id, slot)
        select * from unnest($1, $2)";

    INSERT_CALLBACKS(INT8ARRAYOID, INT2ARRAYOID, OIDARRAYOID, OIDARRAYOID) = "
        insert into edge_store.callback (call_id, slot, owner, function)
        select * from unnest($1, $2, $3, $4)
        on conflict do nothing";

    DELETE_CANCELLATIONS(INT8ARRAYOID) = "delete from edge_store.cancellation where call_id = any ($1)";
}

/// Writes the final outcomes of calls.
pub fn insert_endings(endings: &[Ending]) -> Result<(), Error> {
    for (slot, table) in (0..).zip(RESPONSES) {
        let mut here = endings.iter().filter(|ending| ending.slot == slot).peekable();
        if here.peek().is_none() {
            continue;
        }
        let mut rows = Rows::open(table, &RESPONSE)?;
        for ending in here {
            rows.add(&response(ending));
        }
        rows.close();
    }
    Ok(())
}

/// The values of [`RESPONSE`].
fn response(ending: &Ending) -> [Value; 21] {
    let (trace, stream) = (&ending.trace, ending.stream.as_ref());
    // A call that was never on the wire took no time.
    let took = |part: Option<Duration>| value(trace.started_at.and(part).map(micros));
    let timings = &trace.timings;
    [
        value(ending.call.0),
        value(trace.started_at.map(to_timestamp)),
        value(to_timestamp(ending.finished_at)),
        took(timings.dns),
        took(timings.connect),
        took(timings.tls),
        took(timings.first_byte),
        took(Some(timings.total)),
        value(ending.slot),
        value(trace.status.and_then(|status| i16::try_from(status).ok())),
        value(small(ending.attempts)),
        value(ending.state.code()),
        value(trace.remote.as_deref()),
        value(ending.headers.as_deref()),
        value(ending.body.as_deref()),
        value(trace.error_class),
        value(trace.error.as_deref()),
        value(ending.url.as_deref()),
        value(stream.and_then(|stream| stream.events).map(events::number)),
        value(stream.and_then(|stream| stream.dialect)),
        value(stream.and_then(|stream| stream.usage.as_deref()).and_then(Jsonb::parse)),
    ]
}

/// Notes calls that ended in a slot that is no longer the current one.
pub fn insert_late(endings: &[&Ending]) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        let args = [column(endings, |ending| ending.call.0).into(), column(endings, |ending| ending.slot).into()];
        INSERT_LATE.with(|statement| statement.write(client, &args))?;
        Ok(())
    })
}

/// Writes tries that were not the last.
pub fn insert_failed_tries(tries: &[FailedTry]) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        let traces = || tries.iter().map(|try_| &try_.trace);
        let args = [
            column(tries, |try_| try_.call.0).into(),
            column(tries, |try_| try_.slot).into(),
            column(tries, |try_| small(try_.number)).into(),
            started(traces()).into(),
            timing(traces(), |timings| timings.dns).into(),
            timing(traces(), |timings| timings.connect).into(),
            timing(traces(), |timings| timings.tls).into(),
            timing(traces(), |timings| timings.first_byte).into(),
            timing(traces(), |timings| Some(timings.total)).into(),
            remote(traces()).into(),
            status(traces()).into(),
            traces().map(|trace| trace.error_class).collect::<Vec<_>>().into(),
            traces().map(|trace| trace.error.as_deref()).collect::<Vec<_>>().into(),
            column(tries, |try_| to_timestamp(try_.retry_at)).into(),
        ];
        INSERT_ATTEMPTS.with(|statement| statement.write(client, &args))?;
        Ok(())
    })
}

/// Puts calls off.
pub fn defer(deferrals: &[Deferral]) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        let due = |deferral: &Deferral| match &deferral.until {
            Until::Due(at) => to_timestamp(*at),
            Until::Room(_) => TimestampWithTimeZone::negative_infinity(),
        };
        let lane = |deferral: &Deferral| match &deferral.until {
            Until::Due(_) => None,
            Until::Room(lane) => Some(lane.clone()),
        };
        let args = [
            column(deferrals, |deferral| deferral.call.0).into(),
            column(deferrals, |deferral| deferral.slot).into(),
            column(deferrals, |deferral| small(deferral.tries)).into(),
            column(deferrals, |deferral| small(deferral.interruptions)).into(),
            column(deferrals, due).into(),
            column(deferrals, lane).into(),
        ];
        DEFER.with(|statement| statement.write(client, &args))?;
        Ok(())
    })
}

/// Forgets that calls were put off: they are taken on, or have ended.
pub fn undefer(calls: Vec<i64>) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        UNDEFER.with(|statement| statement.write(client, &[calls.into()]))?;
        Ok(())
    })
}

/// Notes callbacks that are to be run.
pub fn insert_callbacks(callbacks: &[Callback]) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        let args = [
            column(callbacks, |callback| callback.call.0).into(),
            column(callbacks, |callback| callback.slot).into(),
            column(callbacks, |callback| callback.owner).into(),
            column(callbacks, |callback| callback.function).into(),
        ];
        INSERT_CALLBACKS.with(|statement| statement.write(client, &args))?;
        Ok(())
    })
}

/// Notes that calls go on the wire.
pub fn insert_lease(lease: &Lease) -> Result<(), Error> {
    let mut rows = Rows::open(c"lease", &LEASE)?;
    rows.add(&[
        value(lease.batch),
        value(lease.epoch),
        value(lease.floor),
        value(to_timestamp(SystemTime::now())),
        value(column(&lease.calls, |leased| leased.call.0)),
        value(column(&lease.calls, |leased| small(leased.number))),
        value(column(&lease.calls, |leased| small(leased.interruptions))),
    ]);
    rows.close();
    Ok(())
}

/// Forgets batches whose calls are all done with.
pub fn delete_leases(batches: &[i64]) -> Result<(), Error> {
    by_key::delete(c"lease", batches)
}

/// Forgets requests to cancel that have been dealt with.
pub fn delete_cancellations(calls: Vec<i64>) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        DELETE_CANCELLATIONS.with(|statement| statement.write(client, &[calls.into()]))?;
        Ok(())
    })
}

impl Final {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Truncated => "truncated",
            Self::Expired => "expired",
        }
    }

    /// How `edge_store.response.state` says it.
    fn code(self) -> i8 {
        match self {
            Self::Succeeded => b's' as i8,
            Self::Failed => b'f' as i8,
            Self::Cancelled => b'c' as i8,
            Self::Truncated => b't' as i8,
            Self::Expired => b'e' as i8,
        }
    }
}

fn small(count: u32) -> i16 {
    i16::try_from(count).unwrap_or(i16::MAX)
}

fn started<'a>(traces: impl Iterator<Item = &'a Trace>) -> Vec<Option<TimestampWithTimeZone>> {
    traces.map(|trace| trace.started_at.map(to_timestamp)).collect()
}

fn timing<'a>(
    traces: impl Iterator<Item = &'a Trace>,
    part: impl Fn(&Timings) -> Option<Duration>,
) -> Vec<Option<i32>> {
    // A call that was never on the wire took no time.
    traces.map(|trace| trace.started_at.and(part(&trace.timings)).map(micros)).collect()
}

fn remote<'a>(traces: impl Iterator<Item = &'a Trace>) -> Vec<Option<&'a str>> {
    traces.map(|trace| trace.remote.as_deref()).collect()
}

fn status<'a>(traces: impl Iterator<Item = &'a Trace>) -> Vec<Option<i16>> {
    traces.map(|trace| trace.status.and_then(|status| i16::try_from(status).ok())).collect()
}
