//! Queueing calls again that have failed, in the caller's transaction.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use super::queue::{A_CALL, take_transaction_id};
use super::statement::statements;
use crate::error::Error;

statements! {
    // The key of a schedule's call was made by pg_edge, so the copy gets one of its own, as that of any other call does. A key
    // that a user gave names the body that it was given with, and no other.
    REPLAY(INT8OID, OIDOID, BOOLOID, BYTEAOID) = "
        with noted as (
            insert into edge_store.replay (call_id, replayed_as, slot, as_dead_letter)
            select id, pg_catalog.nextval('edge_store.call_id'), slot, $3 from edge_store.request where id = $1
            on conflict do nothing
            returning replayed_as
        )
        insert into edge_store.request
            (id, queued_at, slot, owner, method, url, headers, body, timeout_ms, max_attempts, on_complete,
             idempotency_key, metadata, endpoint, stream, deadline_ms, heartbeat_ms, round, replay_of)
        select noted.replayed_as, pg_catalog.clock_timestamp(), (select current_slot from edge_store.ring), $2, method,
               url, headers, coalesce($4, body), timeout_ms, max_attempts, on_complete,
               case when $4 is null and not pg_catalog.starts_with(idempotency_key, control.database_id || '-s')
                    then idempotency_key end,
               metadata, endpoint, stream, deadline_ms, heartbeat_ms, case when round is not null then 0 end, id
        from noted, edge_store.request, edge_store.control where id = $1
        returning id";

    DEAD_LETTERS(OIDOID, BOOLOID, TEXTOID, TIMESTAMPTZOID, INT8OID) = "
        select id from edge_store.dead_letter
        where (owner = $1 or $2)
          and ($3 is null or endpoint = $3)
          and ($4 is null or finished_at >= $4)
        order by id
        limit $5";
}

/// Why a call is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Somebody named it.
    Asked,
    /// It is among the dead letters, each of which is replayed once, also when two sessions do it at the same time.
    DeadLetter,
}

/// Queues a copy of a call for `owner`, with another body if one is given, and links the two. `None` if it is a dead letter that
/// another session replays.
pub fn replay(id: i64, owner: pg_sys::Oid, why: Replay, body: Option<&[u8]>) -> Result<Option<i64>, Error> {
    take_transaction_id(A_CALL);
    Spi::connect_mut(|client| {
        let args = [id.into(), owner.into(), (why == Replay::DeadLetter).into(), body.into()];
        let rows = REPLAY.with(|statement| statement.write(client, &args))?;
        if rows.is_empty() {
            return Ok(None);
        }
        Ok(rows.first().get_one::<i64>()?)
    })
}

/// Which dead letters to replay.
pub struct DeadLetters<'a> {
    pub viewer: pg_sys::Oid,
    pub sees_all: bool,
    pub endpoint: Option<&'a str>,
    pub since: Option<TimestampWithTimeZone>,
    pub limit: Option<i64>,
}

/// The ids of dead letters.
pub fn dead_letters(wanted: &DeadLetters<'_>) -> Result<Vec<i64>, Error> {
    Spi::connect_mut(|client| {
        let args = [
            wanted.viewer.into(),
            wanted.sees_all.into(),
            wanted.endpoint.into(),
            wanted.since.into(),
            wanted.limit.into(),
        ];
        let rows = DEAD_LETTERS.with(|statement| statement.write(client, &args))?;
        rows.map(|row| row.get::<i64>(1)?.ok_or(Error::Malformed)).collect()
    })
}
