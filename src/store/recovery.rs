//! What a new dispatcher finds of its predecessor.

use pgrx::prelude::*;

use super::statement::statements;
use crate::domain::call::CallId;
use crate::error::Error;

/// A call that was on the wire when its dispatcher ended.
#[derive(Clone, Debug)]
pub struct Interrupted {
    pub call: CallId,
    pub slot: i16,
    pub owner: pg_sys::Oid,
    pub on_complete: Option<pg_sys::Oid>,
    /// The number of the try.
    pub number: u32,
    /// How often it had been interrupted before.
    pub interruptions: u32,
}

/// Where the predecessor stood.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// Below this id, every call is done, deferred or leased.
    pub floor: i64,
    /// The highest batch number used.
    pub batch: i64,
}

statements! {
    STANDING() = "select coalesce(max(floor), 1), coalesce(max(batch), 0) from edge_store.lease";

    INTERRUPTED() = "
        select distinct on (request.id)
            request.id, request.slot, request.owner, request.on_complete, entry.number, entry.interruptions
        from edge_store.lease, unnest(lease.call_ids, lease.numbers, lease.interruptions)
                 as entry (call_id, number, interruptions)
        join edge_store.request on request.id = entry.call_id
        where not exists (select from edge_store.response
                          where response.call_id = request.id and response.slot = request.slot)
          and not exists (select from edge_store.deferred where deferred.call_id = request.id)
        order by request.id, entry.number desc";

    CLEAR_LEASES() = "delete from edge_store.lease";
}

/// Where the predecessor stood.
pub fn standing() -> Result<Standing, Error> {
    Spi::connect(|client| {
        let row = STANDING.with(|statement| statement.read(client, &[]))?.first();
        let (Some(floor), Some(batch)) = (row.get(1)?, row.get(2)?) else { return Err(Error::Malformed) };
        Ok(Standing { floor, batch })
    })
}

/// The calls that were on the wire when the predecessor ended.
pub fn interrupted() -> Result<Vec<Interrupted>, Error> {
    Spi::connect(|client| {
        let rows = INTERRUPTED.with(|statement| statement.read(client, &[]))?;
        rows.map(|row| {
            let count = |ordinal| row.get::<i16>(ordinal).map(|value| u32::from(value.unwrap_or(0).unsigned_abs()));
            Ok(Interrupted {
                call: CallId(row.get(1)?.ok_or(Error::Malformed)?),
                slot: row.get(2)?.ok_or(Error::Malformed)?,
                owner: row.get(3)?.ok_or(Error::Malformed)?,
                on_complete: row.get(4)?,
                number: count(5)?,
                interruptions: count(6)?,
            })
        })
        .collect()
    })
}

/// Forgets all leases.
pub fn clear_leases() -> Result<(), Error> {
    Spi::connect_mut(|client| {
        CLEAR_LEASES.with(|statement| statement.write(client, &[]))?;
        Ok(())
    })
}
