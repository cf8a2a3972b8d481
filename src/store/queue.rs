//! Writing calls into the queue, in the caller's transaction.

use std::ffi::CStr;
use std::time::Duration;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use super::datum::Jsonb;
use super::retention;
use super::slots::{self, REQUESTS};
use super::statement::statements;
use super::table::{self, Column, Rows, value};
use crate::domain::batch::Round;
use crate::domain::job::Terms;
use crate::domain::stream::rules::Format;
use crate::error::Error;

/// A checked call, ready to be written.
pub struct NewCall<'a> {
    pub owner: pg_sys::Oid,
    pub method: &'a str,
    pub url: &'a str,
    /// A named endpoint; without one, the call belongs to the origin of its URL.
    pub endpoint: Option<&'a str>,
    pub headers: Option<&'a str>,
    pub body: Option<&'a [u8]>,
    pub timeout_ms: Option<i32>,
    pub max_attempts: Option<i16>,
    pub run_at: Option<TimestampWithTimeZone>,
    pub on_complete: Option<pg_sys::Oid>,
    pub idempotency_key: Option<&'a str>,
    pub metadata: Option<Jsonb>,
    /// How its answer is to be streamed, where it is to be.
    pub stream: Option<Format>,
    /// Of a background job.
    pub terms: Option<Terms>,
    /// Of a call whose body is a list of items.
    pub round: Option<Round>,
}

/// What a key stands for once a call has asked for it.
pub enum Claim {
    /// The key is ours now.
    Ours,
    /// The key is another call's.
    Theirs { call: i64, fingerprint: Vec<u8> },
}

/// What is queued here, for errors.
pub(super) const A_CALL: &CStr = c"a call of pg_edge";

/// What is written of a new call, in the table's order.
const COLUMNS: [Column; 19] = [
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
    (c"metadata", pg_sys::JSONBOID),
    (c"run_at", pg_sys::TIMESTAMPTZOID),
    (c"on_complete", pg_sys::OIDOID),
    (c"stream", pg_sys::TEXTOID),
    (c"deadline_ms", pg_sys::INT4OID),
    (c"heartbeat_ms", pg_sys::INT4OID),
    (c"round", pg_sys::INT2OID),
];

statements! {
    CLAIM_KEY(OIDOID, TEXTOID, INT8OID, BYTEAOID, INTERVALOID) = "
        insert into edge_store.idempotency as known (owner, key, call_id, fingerprint, noted_at)
        values ($1, $2, $3, $4, pg_catalog.clock_timestamp())
        on conflict (owner, key) do update
            set call_id = excluded.call_id, fingerprint = excluded.fingerprint, noted_at = excluded.noted_at
            where known.noted_at < excluded.noted_at - $5
        returning call_id";

    KEY_OWNER(OIDOID, TEXTOID) = "
        select call_id, fingerprint from edge_store.idempotency where owner = $1 and key = $2";

    // What is on the wire may lie below the floor; everything else that does is done or deferred.
    UNFINISHED_BY_OWNER() = "
        with unfinished as (
            select request.owner from edge_store.request
            where id >= (select coalesce(max(floor), 0) from edge_store.lease)
              and not exists (select from edge_store.response where response.call_id = request.id)
              and not exists (select from edge_store.deferred where deferred.call_id = request.id)
            union all
            select request.owner
            from edge_store.deferred join edge_store.request on request.id = call_id and request.slot = deferred.slot
            union all
            select request.owner
            from (select distinct unnest(call_ids) as id from edge_store.lease) as leased
            join edge_store.request on request.id = leased.id
            where leased.id < (select coalesce(max(floor), 0) from edge_store.lease)
              and not exists (select from edge_store.response where response.call_id = request.id)
              and not exists (select from edge_store.deferred where deferred.call_id = request.id)
        )
        select owner, count(*) from unfinished group by owner";
}

/// Takes the transaction's id before any id of a call or a message is handed out: the cursors of the dispatcher rest on that
/// order. `what` is to be queued, for the error.
#[allow(unsafe_code, reason = "pgrx has no wrapper for it")]
pub(super) fn take_transaction_id(what: &'static CStr) {
    // SAFETY: main thread, inside a transaction; what is said lives for ever. On a standby, where no transaction id can be
    // taken at all, the first call raises the error that users know from INSERT.
    unsafe {
        pg_sys::PreventCommandIfReadOnly(what.as_ptr());
        pg_sys::GetTopTransactionId();
    }
}

/// Hands out an id for a call that is still to be written.
pub fn next_id() -> Result<i64, Error> {
    take_transaction_id(A_CALL);
    table::next_value(c"call_id")
}

/// Writes a call under an id that was handed out in this transaction.
pub fn insert(id: i64, call: NewCall<'_>) -> Result<(), Error> {
    insert_all([(id, call)])
}

/// Writes calls under ids that were handed out in this transaction.
pub fn insert_all<'a>(calls: impl IntoIterator<Item = (i64, NewCall<'a>)>) -> Result<(), Error> {
    let slot = retention::recent_slot()?;
    let mut rows = Rows::open(slots::of(REQUESTS, slot).ok_or(Error::Malformed)?, &COLUMNS)?;
    for (id, call) in calls {
        rows.add(&[
            value(id),
            value(now()),
            value(call.owner),
            value(call.timeout_ms),
            value(slot),
            value(call.max_attempts),
            value(call.method),
            value(call.url),
            value(call.endpoint),
            value(call.headers),
            value(call.body),
            value(call.idempotency_key),
            value(call.metadata),
            value(call.run_at),
            value(call.on_complete),
            value(call.stream.map(Format::name)),
            value(call.terms.map(|terms| millis(terms.deadline))),
            value(call.terms.and_then(|terms| terms.heartbeat).map(millis)),
            value(call.round.map(|round| round.0)),
        ]);
    }
    rows.close();
    Ok(())
}

/// The time that the clock shows, not that at which the transaction began.
#[allow(unsafe_code, reason = "pgrx' own goes through a call of an SQL function")]
pub fn now() -> Option<TimestampWithTimeZone> {
    // SAFETY: reads the clock.
    TimestampWithTimeZone::try_from(unsafe { pg_sys::GetCurrentTimestamp() }).ok()
}

/// A duration that was checked to fit when it was given.
fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

/// Claims an idempotency key for the call `id`, or tells whose it is.
pub fn claim_key(owner: pg_sys::Oid, key: &str, id: i64, fingerprint: &[u8], window: Interval) -> Result<Claim, Error> {
    Spi::connect_mut(|client| {
        let args = [owner.into(), key.into(), id.into(), fingerprint.into(), window.into()];
        if !CLAIM_KEY.with(|statement| statement.write(client, &args))?.is_empty() {
            return Ok(Claim::Ours);
        }
        let row = KEY_OWNER.with(|statement| statement.write(client, &[owner.into(), key.into()]))?.first();
        let call = row.get::<i64>(1)?.ok_or(Error::Malformed)?;
        Ok(Claim::Theirs { call, fingerprint: row.get::<Vec<u8>>(2)?.unwrap_or_default() })
    })
}

/// How many calls of each role have not ended.
pub fn unfinished_by_owner() -> Result<Vec<(pg_sys::Oid, i64)>, Error> {
    Spi::connect(|client| {
        let rows = UNFINISHED_BY_OWNER.with(|statement| statement.read(client, &[]))?;
        rows.map(|row| Ok((row.get(1)?.ok_or(Error::Malformed)?, row.get(2)?.ok_or(Error::Malformed)?))).collect()
    })
}
