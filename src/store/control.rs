//! Who this database is and what its dispatcher is told.

use pgrx::prelude::*;

use super::statement::statements;
use crate::error::Error;

/// What the one control row says.
#[derive(Clone, Debug)]
pub struct Control {
    /// Names this database in the idempotency keys that pg_edge makes.
    pub database_id: String,
    /// Nothing is to be sent.
    pub paused: bool,
}

statements! {
    READ() = "select database_id::text, paused from edge_store.control";
    SET_PAUSED(BOOLOID) = "update edge_store.control set paused = $1 where paused <> $1 returning true";
    NEW_EPOCH() = "update edge_store.control set epoch = epoch + 1 returning epoch";
    ENCODING() = "
        select pg_catalog.pg_encoding_to_char(encoding)::text from pg_catalog.pg_database
        where datname = pg_catalog.current_database()";
    BACKLOG() = "
        select count(*), min(request.queued_at)
        from edge_store.request
        where id >= (select coalesce(max(floor), 0) from edge_store.lease)
          and not exists (select from edge_store.response where call_id = id)
          and not exists (select from edge_store.deferred where call_id = id)
        union all
        select count(*), min(request.queued_at)
        from edge_store.deferred join edge_store.request on request.id = call_id and request.slot = deferred.slot";
}

/// Reads the control row.
pub fn read() -> Result<Control, Error> {
    Spi::connect(|client| {
        let row = READ.with(|statement| statement.read(client, &[]))?.first();
        Ok(Control { database_id: row.get(1)?.ok_or(Error::Malformed)?, paused: row.get(2)?.ok_or(Error::Malformed)? })
    })
}

/// Pauses or resumes sending; tells whether that changed anything.
pub fn set_paused(paused: bool) -> Result<bool, Error> {
    Spi::connect_mut(|client| Ok(!SET_PAUSED.with(|statement| statement.write(client, &[paused.into()]))?.is_empty()))
}

/// Begins the epoch of a new dispatcher.
pub fn new_epoch() -> Result<i32, Error> {
    Spi::connect_mut(|client| {
        let epoch = NEW_EPOCH.with(|statement| statement.write(client, &[]))?.first().get_one::<i32>()?;
        epoch.ok_or(Error::Malformed)
    })
}

/// The name of the database's encoding.
pub fn encoding() -> Result<String, Error> {
    Spi::connect(|client| {
        let name = ENCODING.with(|statement| statement.read(client, &[]))?.first().get_one::<String>()?;
        Ok(name.unwrap_or_default())
    })
}

/// How many calls have not ended, and when the oldest of them was queued.
pub fn backlog() -> Result<(i64, Option<TimestampWithTimeZone>), Error> {
    Spi::connect(|client| {
        let mut depth = 0;
        let mut oldest = None;
        for row in BACKLOG.with(|statement| statement.read(client, &[]))? {
            depth += row.get::<i64>(1)?.unwrap_or(0);
            let queued: Option<TimestampWithTimeZone> = row.get(2)?;
            oldest = match (oldest, queued) {
                (Some(a), Some(b)) => Some(std::cmp::min(a, b)),
                (a, b) => a.or(b),
            };
        }
        Ok((depth, oldest))
    })
}
