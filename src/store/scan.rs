//! Reading calls of the queue, as the dispatcher does. New ones: see `fresh`.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use pgrx::prelude::*;
use pgrx::spi::SpiHeapTupleData;

use super::statement::statements;
use super::time::{from_timestamp, to_timestamp};
use crate::domain::batch::Round;
use crate::domain::call::CallId;
use crate::domain::job::Terms;
use crate::domain::stream::rules::Format;
use crate::domain::tally::Kind;
use crate::error::Error;

/// A call as it stands in the queue.
#[derive(Clone, Debug)]
pub struct Queued {
    pub id: CallId,
    pub slot: i16,
    pub owner: pg_sys::Oid,
    pub method: String,
    pub url: String,
    pub endpoint: Option<String>,
    pub queued_at: SystemTime,
    pub headers: Option<String>,
    pub body: Body,
    pub timeout: Option<Duration>,
    pub max_attempts: Option<u32>,
    pub on_complete: Option<pg_sys::Oid>,
    pub idempotency_key: Option<String>,
    pub run_at: Option<SystemTime>,
    /// How its answer is to be streamed, where it is to be.
    pub stream: Option<Format>,
    /// Of a background job.
    pub terms: Option<Terms>,
    /// Of a call whose body is a list of items.
    pub round: Option<Round>,
    /// Somebody asked to cancel it.
    pub cancelled: bool,
    /// Tries made, interrupted ones included.
    pub tries: u32,
    /// How many of the tries were interrupted.
    pub interruptions: u32,
}

impl Queued {
    /// When its age begins to count: when it was queued, or was first to be made.
    pub fn born_at(&self) -> SystemTime {
        self.run_at.map_or(self.queued_at, |run_at| run_at.max(self.queued_at))
    }

    /// Whether it was tried before.
    pub fn kind(&self) -> Kind {
        Kind::of(self.tries, self.interruptions)
    }
}

/// Where a body is.
#[derive(Clone, Debug)]
pub enum Body {
    /// There is none.
    None,
    /// Here.
    Inline(Bytes),
    /// In the table: so many bytes.
    Stored(usize),
}

/// Bodies up to so many bytes come with their row; `columns` says the same in SQL.
pub(super) const INLINE: usize = 16_384;

/// How a queued call is read, in the order that `queued` takes its columns. A body up to 16 kB comes with its row; a
/// larger one is fetched when the call is sent, so that a scan of a thousand calls stays small.
macro_rules! columns {
    () => {
        "request.id, request.slot, request.owner, request.method, request.url, request.headers,
         case when octet_length(request.body) <= 16384 then request.body end, octet_length(request.body),
         request.timeout_ms, request.max_attempts, request.on_complete, request.idempotency_key, request.run_at,
         exists (select from edge_store.cancellation where cancellation.call_id = request.id), request.endpoint, request.queued_at,
         request.stream, request.deadline_ms, request.heartbeat_ms, request.round"
    };
}

pub(super) use columns;

statements! {
    NEXT_DUE(TIMESTAMPTZOID) = "select min(due_at) from edge_store.deferred where parked_on is null and due_at > $1";

    DUE(TIMESTAMPTZOID, INT8ARRAYOID, INT8OID) = concat!("
        select ", columns!(), ", waiting.tries, waiting.interruptions
        from (select * from edge_store.deferred
              where parked_on is null and due_at <= $1 and call_id <> all ($2)
              order by due_at limit $3) as waiting
        join edge_store.request on request.id = waiting.call_id and request.slot = waiting.slot
        order by waiting.due_at");

    PARKED(TEXTOID, BOOLOID, INT8ARRAYOID, INT8OID) = concat!("
        select ", columns!(), ", waiting.tries, waiting.interruptions
        from (select * from edge_store.deferred
              where parked_on = $1 and (tries > interruptions) = $2 and call_id <> all ($3)
              order by call_id limit $4) as waiting
        join edge_store.request on request.id = waiting.call_id and request.slot = waiting.slot
        order by waiting.call_id");

    DEFERRED_TO(TEXTOID, INT8ARRAYOID, INT8OID) = concat!("
        select ", columns!(), ", waiting.tries, waiting.interruptions
        from edge_store.deferred as waiting
        join edge_store.request on request.id = waiting.call_id and request.slot = waiting.slot
        where request.endpoint = $1 and waiting.call_id <> all ($2)
        limit $3");

    PARKED_LANES() = "select distinct parked_on from edge_store.deferred where parked_on is not null";

    CANCELLED_DEFERRED(INT8ARRAYOID) = concat!("
        select ", columns!(), ", waiting.tries, waiting.interruptions
        from (select call_id from edge_store.cancellation union select unnest($1)) as cancelled
        join edge_store.deferred as waiting on waiting.call_id = cancelled.call_id
        join edge_store.request on request.id = waiting.call_id and request.slot = waiting.slot");

    DELETE_CANCELLATIONS(INT8ARRAYOID) = "delete from edge_store.cancellation where call_id = any ($1)";

    CANCELLATIONS() = "select call_id from edge_store.cancellation";

    BODY(INT8OID, INT2OID) = "select body from edge_store.request where id = $1 and slot = $2";
}

/// When the first deferred call after `now` is due.
pub fn next_due(now: SystemTime) -> Result<Option<SystemTime>, Error> {
    Spi::connect(|client| {
        let due = NEXT_DUE
            .with(|statement| statement.read(client, &[to_timestamp(now).into()]))?
            .first()
            .get_one::<TimestampWithTimeZone>()?;
        Ok(due.map(from_timestamp))
    })
}

/// Deferred calls whose time has come, except those already in memory.
pub fn due(now: SystemTime, in_memory: Vec<i64>, limit: usize) -> Result<Vec<Queued>, Error> {
    Spi::connect(|client| {
        let args = [to_timestamp(now).into(), in_memory.into(), (limit as i64).into()];
        DUE.with(|statement| statement.read(client, &args))?.map(|row| queued(&row)).collect()
    })
}

/// Calls that wait for room at their endpoint, except those already in memory.
pub fn parked(lane: &str, kind: Kind, in_memory: Vec<i64>, limit: usize) -> Result<Vec<Queued>, Error> {
    Spi::connect(|client| {
        let args = [lane.into(), (kind == Kind::Retry).into(), in_memory.into(), (limit as i64).into()];
        PARKED.with(|statement| statement.read(client, &args))?.map(|row| queued(&row)).collect()
    })
}

/// Deferred calls to a named endpoint, whatever they wait for, except those already in memory.
pub fn deferred_to(endpoint: &str, in_memory: Vec<i64>, limit: usize) -> Result<Vec<Queued>, Error> {
    Spi::connect(|client| {
        let args = [endpoint.into(), in_memory.into(), (limit as i64).into()];
        DEFERRED_TO.with(|statement| statement.read(client, &args))?.map(|row| queued(&row)).collect()
    })
}

/// The endpoints that have calls parked.
pub fn parked_lanes() -> Result<Vec<String>, Error> {
    Spi::connect(|client| {
        let rows = PARKED_LANES.with(|statement| statement.read(client, &[]))?;
        rows.filter_map(|row| row.get::<String>(1).transpose()).map(|lane| lane.map_err(Error::from)).collect()
    })
}

/// Deferred calls that somebody asked to cancel, and those of `others`.
pub fn cancelled_deferred(others: Vec<i64>) -> Result<Vec<Queued>, Error> {
    Spi::connect(|client| {
        CANCELLED_DEFERRED.with(|statement| statement.read(client, &[others.into()]))?.map(|row| queued(&row)).collect()
    })
}

/// The calls that somebody asked to cancel.
pub fn cancellations() -> Result<Vec<i64>, Error> {
    Spi::connect(|client| {
        let rows = CANCELLATIONS.with(|statement| statement.read(client, &[]))?;
        rows.filter_map(|row| row.get::<i64>(1).transpose()).map(|id| id.map_err(Error::from)).collect()
    })
}

/// The body of a call whose row came without it.
pub fn body(id: CallId, slot: i16) -> Result<Option<Bytes>, Error> {
    Spi::connect(|client| {
        let rows = BODY.with(|statement| statement.read(client, &[id.0.into(), slot.into()]))?;
        if rows.is_empty() {
            return Ok(None);
        }
        Ok(rows.first().get_one::<Vec<u8>>()?.map(Bytes::from))
    })
}

/// A format that was checked when its call was queued. One that only a later version knows is read as a body.
pub(super) fn format(name: String) -> Option<Format> {
    Format::parse(&name).ok()
}

/// What a background job is given, from the columns of its request.
pub(super) fn terms(deadline_ms: Option<i32>, heartbeat_ms: Option<i32>) -> Option<Terms> {
    let duration = |millis: i32| Duration::from_millis(u64::from(millis.unsigned_abs()));
    Some(Terms { deadline: duration(deadline_ms?), heartbeat: heartbeat_ms.map(duration) })
}

pub(super) fn queued(row: &SpiHeapTupleData<'_>) -> Result<Queued, Error> {
    let count = |ordinal: usize| -> Result<u32, Error> {
        Ok(row.get::<i16>(ordinal)?.map_or(0, |value| u32::from(value.unsigned_abs())))
    };
    let body = match (row.get::<Vec<u8>>(7)?, row.get::<i32>(8)?) {
        (Some(body), _) => Body::Inline(Bytes::from(body)),
        (None, Some(size)) => Body::Stored(size.unsigned_abs() as usize),
        (None, None) => Body::None,
    };
    Ok(Queued {
        id: CallId(row.get(1)?.ok_or(Error::Malformed)?),
        slot: row.get(2)?.ok_or(Error::Malformed)?,
        owner: row.get(3)?.ok_or(Error::Malformed)?,
        method: row.get(4)?.unwrap_or_default(),
        url: row.get(5)?.unwrap_or_default(),
        headers: row.get(6)?,
        body,
        timeout: row.get::<i32>(9)?.map(|millis| Duration::from_millis(u64::from(millis.unsigned_abs()))),
        max_attempts: row.get::<i16>(10)?.map(|attempts| u32::from(attempts.unsigned_abs())),
        on_complete: row.get(11)?,
        idempotency_key: row.get(12)?,
        run_at: row.get::<TimestampWithTimeZone>(13)?.map(from_timestamp),
        cancelled: row.get(14)?.unwrap_or(false),
        endpoint: row.get(15)?,
        queued_at: row.get::<TimestampWithTimeZone>(16)?.map(from_timestamp).ok_or(Error::Malformed)?,
        stream: row.get(17)?.and_then(format),
        terms: terms(row.get(18)?, row.get(19)?),
        round: row.get(20)?.map(Round),
        tries: count(21)?,
        interruptions: count(22)?,
    })
}

/// Forgets requests to cancel that have been dealt with.
pub fn delete_cancellations(calls: Vec<i64>) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        DELETE_CANCELLATIONS.with(|statement| statement.write(client, &[calls.into()]))?;
        Ok(())
    })
}
