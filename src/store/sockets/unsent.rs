//! The messages that are to be sent, as the dispatcher finds them.

use std::ops::ControlFlow;

use bytes::Bytes;
use pgrx::prelude::*;

use crate::domain::cursor::IdRange;
use crate::domain::socket::message::Payload;
use crate::domain::socket::outgoing::{Appetite, Letter, Mark};
use crate::error::Error;
use crate::store::by_key::{self, Row};
use crate::store::fresh::{Care, horizon};
use crate::store::slots::WS_OUTGOING;
use crate::store::statement::statements;
use crate::store::table::{self, Column};

/// A message that nobody has seen yet.
#[derive(Clone, Debug)]
pub struct Found {
    pub connection: i64,
    pub mark: Mark,
    /// What it says, unless that is large and left in the table.
    pub payload: Option<Payload>,
}

/// What a scan found, and under which snapshot.
#[derive(Debug)]
pub struct Scan {
    pub found: Vec<Found>,
    pub xmin: u64,
    /// The transaction id that is handed out next.
    pub next_xid: u64,
}

/// What a message up to this size says comes with its row.
const INLINE: usize = 16 * 1024;

/// What is read of a message, in the table's order.
const MESSAGE: [Column; 6] = [
    (c"id", pg_sys::INT8OID),
    (c"connection_id", pg_sys::INT8OID),
    (c"slot", pg_sys::INT2OID),
    (c"kind", pg_sys::CHAROID),
    (c"data", pg_sys::TEXTOID),
    (c"data_bytes", pg_sys::BYTEAOID),
];

statements! {
    // What became of a message is in the slot of the message.
    RECOVERING(INT8OID, INT8OID, INT8OID) = "
        select id, connection_id, slot
        from edge_store.ws_outgoing as message
        where id between $1 and $2
          and not exists (
              select from edge_store.ws_outcome as outcome
              where outcome.message_id = message.id and outcome.slot = message.slot)
        order by id
        limit $3";

    // The first of them in any case, however large it is.
    WAITING(INT8OID, INT8OID, INT8OID, INT8ARRAYOID, INT8OID, INT8OID) = "
        select id, slot, kind, data, data_bytes
        from (
            select *, sum(coalesce(octet_length(data), octet_length(data_bytes), 0)) over (order by id)
                      - coalesce(octet_length(data), octet_length(data_bytes), 0) as before
            from (
                select id, slot, kind, data, data_bytes
                from edge_store.ws_outgoing as message
                where connection_id = $1 and id between $2 and $3 and id <> all ($4)
                  and not exists (
                      select from edge_store.ws_outcome as outcome
                      where outcome.message_id = message.id and outcome.slot = message.slot)
                order by id
                limit $5
            ) as first
        ) as measured
        where before < $6
        order by id";

    UNSENT(INT8OID, INT8OID, INT8OID, INT8OID) = "
        select id, slot
        from edge_store.ws_outgoing as message
        where connection_id = $1 and id between $2 and $3
          and not exists (
              select from edge_store.ws_outcome as outcome
              where outcome.message_id = message.id and outcome.slot = message.slot)
        order by id
        limit $4";
}

/// The highest id handed out so far. Read it before the snapshot of the scan that follows.
pub fn last_handed_out() -> Result<i64, Error> {
    Ok(table::last_value(c"ws_message_id")?.unwrap_or(0))
}

/// The next id, for a message that has come.
pub fn next_id() -> Result<i64, Error> {
    table::next_value(c"ws_message_id")
}

/// Reads at most `limit` messages of the ranges, lowest ids first, under the snapshot that is active.
pub fn scan(ranges: &[IdRange], care: Care, limit: usize) -> Result<Scan, Error> {
    let (xmin, next_xid) = horizon();
    let mut found = Vec::new();
    for range in ranges {
        let left = limit - found.len();
        if left == 0 {
            break;
        }
        match care {
            Care::Fresh => found.extend(fresh(range, left)?),
            Care::Recovering => found.extend(recovering(range, left)?),
        }
    }
    Ok(Scan { found, xmin, next_xid })
}

/// Messages that nobody has looked at yet, straight from the slots.
fn fresh(range: &IdRange, limit: usize) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    for partition in WS_OUTGOING {
        let before = found.len();
        by_key::visit_range(partition, (range.first, range.last), &MESSAGE, |row| {
            found.push(found_in(row)?);
            let full = found.len() - before >= limit;
            Ok(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
    }
    // In order already, unless the ring has just moved on.
    found.sort_by_key(|found| found.mark.id);
    found.truncate(limit);
    Ok(found)
}

fn recovering(range: &IdRange, limit: usize) -> Result<Vec<Found>, Error> {
    Spi::connect(|client| {
        let args = [range.first.into(), range.last.into(), (limit as i64).into()];
        let rows = RECOVERING.with(|statement| statement.read(client, &args))?;
        rows.map(|row| {
            let (id, slot) = (row.get(1)?.ok_or(Error::Malformed)?, row.get(3)?.ok_or(Error::Malformed)?);
            let connection = row.get(2)?.ok_or(Error::Malformed)?;
            Ok(Found { connection, mark: Mark { id, slot, size: 0 }, payload: None })
        })
        .collect()
    })
}

/// Reads messages of a connection that have neither been sent nor are in memory, in order, up to the id `to`.
pub fn waiting(connection: i64, appetite: Appetite, to: i64) -> Result<Vec<Letter>, Error> {
    let Appetite { from, most, most_bytes, but } = appetite;
    let args = [
        connection.into(),
        from.into(),
        to.into(),
        but.into(),
        (most as i64).into(),
        (most_bytes.max(1) as i64).into(),
    ];
    Spi::connect(|client| {
        let rows = WAITING.with(|statement| statement.read(client, &args))?;
        rows.map(|row| {
            let kind = row.get::<i8>(3)?.ok_or(Error::Malformed)?;
            let payload = payload(kind, || Ok(row.get(4)?), || Ok(row.get(5)?))?;
            let (id, slot) = (row.get(1)?.ok_or(Error::Malformed)?, row.get(2)?.ok_or(Error::Malformed)?);
            Ok(Letter { mark: Mark { id, slot, size: payload.size() }, payload })
        })
        .collect()
    })
}

/// The ids and slots of messages of a connection that have not been sent.
pub fn unsent(connection: i64, ids: IdRange, most: usize) -> Result<Vec<(i64, i16)>, Error> {
    Spi::connect(|client| {
        let args = [connection.into(), ids.first.into(), ids.last.into(), (most as i64).into()];
        let rows = UNSENT.with(|statement| statement.read(client, &args))?;
        rows.map(|row| Ok((row.get(1)?.ok_or(Error::Malformed)?, row.get(2)?.ok_or(Error::Malformed)?))).collect()
    })
}

fn found_in(row: &Row<'_>) -> Result<Found, Error> {
    let size = row.bytes(4)?.or(row.bytes(5)?).unwrap_or(0);
    let payload = if size > INLINE {
        None
    } else {
        let kind = row.get::<i8>(3)?.ok_or(Error::Malformed)?;
        Some(payload(kind, || row.get(4), || row.get(5))?)
    };
    let (id, slot) = (row.get(0)?.ok_or(Error::Malformed)?, row.get(2)?.ok_or(Error::Malformed)?);
    Ok(Found { connection: row.get(1)?.ok_or(Error::Malformed)?, mark: Mark { id, slot, size }, payload })
}

fn payload(
    kind: i8,
    text: impl FnOnce() -> Result<Option<String>, Error>,
    bytes: impl FnOnce() -> Result<Option<Vec<u8>>, Error>,
) -> Result<Payload, Error> {
    Ok(match u8::try_from(kind) {
        Ok(b'b') => Payload::Binary(Bytes::from(bytes()?.unwrap_or_default())),
        _ => Payload::Text(text()?.unwrap_or_default()),
    })
}
