//! Writing messages that are to go over websockets, in the caller's transaction.

use pgrx::prelude::*;

use crate::error::Error;
use crate::store::queue::{now, take_transaction_id};
use crate::store::retention;
use crate::store::slots::{self, WS_OUTGOING};
use crate::store::statement::statements;
use crate::store::table::{self, Column, Rows, value};

/// What is to be sent.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    Text(&'a str),
    /// Text that is JSON.
    Json(&'a str),
    Bytes(&'a [u8]),
}

/// What is written of a message, in the table's order.
const COLUMNS: [Column; 8] = [
    (c"id", pg_sys::INT8OID),
    (c"connection_id", pg_sys::INT8OID),
    (c"queued_at", pg_sys::TIMESTAMPTZOID),
    (c"owner", pg_sys::OIDOID),
    (c"slot", pg_sys::INT2OID),
    (c"kind", pg_sys::CHAROID),
    (c"data", pg_sys::TEXTOID),
    (c"data_bytes", pg_sys::BYTEAOID),
];

statements! {
    // Counts those that were sent meanwhile as well, which costs little; what is too many by this is looked at again.
    QUEUED_AT_MOST(INT8OID, INT8OID) = "
        select count(*) from (
            select from edge_store.ws_outgoing
            where connection_id = $1
              and id >= coalesce((select unsent_from from edge_store.ws_state where connection_id = $1), 0)
            limit $2
        ) as queued";

    // What became of a message is in the slot of the message. The offset has the planner look it up for each, and not read all.
    QUEUED(INT8OID, INT8OID) = "
        select count(*) from (
            select from edge_store.ws_outgoing as message
            where connection_id = $1
              and id >= coalesce((select unsent_from from edge_store.ws_state where connection_id = $1), 0)
              and not exists (select from edge_store.ws_outcome where message_id = message.id and slot = message.slot offset 0)
            limit $2
        ) as queued";
}

/// Writes a message of an owner, and gives its id.
pub fn insert(connection: i64, owner: pg_sys::Oid, content: Content<'_>) -> Result<i64, Error> {
    take_transaction_id(c"a message of pg_edge");
    let id = table::next_value(c"ws_message_id")?;
    let slot = retention::recent_slot()?;
    let (kind, data, data_bytes) = match content {
        Content::Text(text) => (b't', Some(text), None),
        Content::Json(text) => (b'j', Some(text), None),
        Content::Bytes(bytes) => (b'b', None, Some(bytes)),
    };
    let mut rows = Rows::open(slots::of(WS_OUTGOING, slot).ok_or(Error::Malformed)?, &COLUMNS)?;
    rows.add(&[
        value(id),
        value(connection),
        value(now()),
        value(owner),
        value(slot),
        value(kind.cast_signed()),
        value(data),
        value(data_bytes),
    ]);
    rows.close();
    Ok(id)
}

/// How many messages wait to be sent over a websocket, where that is fewer than a limit; else at least the limit. Others'
/// that have not been committed do not count.
pub fn queued(connection: i64, limit: i64) -> Result<i64, Error> {
    Spi::connect_mut(|client| {
        let args = [connection.into(), limit.into()];
        // Reading statements would not see what the running one has written.
        let at_most = QUEUED_AT_MOST.with(|statement| statement.write(client, &args))?.first().get_one::<i64>()?;
        let at_most = at_most.ok_or(Error::Malformed)?;
        if at_most < limit {
            return Ok(at_most);
        }
        QUEUED.with(|statement| statement.write(client, &args))?.first().get_one::<i64>()?.ok_or(Error::Malformed)
    })
}
