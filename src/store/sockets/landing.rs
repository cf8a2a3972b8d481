//! Messages that have come.

use pgrx::prelude::*;

use crate::domain::socket::message::{Payload, Received};
use crate::error::Error;
use crate::store::notify::{self, Told};
use crate::store::slots::{self, WS_INCOMING};
use crate::store::sockets::standing::Handling;
use crate::store::table::{Column, Rows, value};
use crate::store::time::to_timestamp;

/// The channel on which sessions hear of websockets.
const CHANNEL: &str = "edge_ws";

/// Messages that have come over one websocket, in order.
#[derive(Debug)]
pub struct Incoming<'a> {
    pub connection: i64,
    pub owner: pg_sys::Oid,
    pub handling: Handling,
    /// With their ids, which rise.
    pub messages: Vec<(i64, &'a Received)>,
}

/// What sessions that listen are told of a websocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Messages have come, of which this is the last.
    Message { connection: i64, id: i64 },
    /// It is in another state now.
    State { connection: i64, state: &'static str },
}

/// What is written of a message, in the table's order.
const MESSAGE: [Column; 8] = [
    (c"id", pg_sys::INT8OID),
    (c"connection_id", pg_sys::INT8OID),
    (c"received_at", pg_sys::TIMESTAMPTZOID),
    (c"owner", pg_sys::OIDOID),
    (c"slot", pg_sys::INT2OID),
    (c"kind", pg_sys::CHAROID),
    (c"data", pg_sys::TEXTOID),
    (c"data_bytes", pg_sys::BYTEAOID),
];

/// What is written of a message that is to be given to a function, in the table's order.
const HANDLING: [Column; 4] = [
    (c"message_id", pg_sys::INT8OID),
    (c"connection_id", pg_sys::INT8OID),
    (c"owner", pg_sys::OIDOID),
    (c"slot", pg_sys::INT2OID),
];

/// Writes messages that have come, into the slot where the ring stands.
pub fn insert(landed: &[Incoming<'_>], slot: i16) -> Result<(), Error> {
    let mut rows = Rows::open(slots::of(WS_INCOMING, slot).ok_or(Error::Malformed)?, &MESSAGE)?;
    for of_one in landed {
        for (id, message) in &of_one.messages {
            let (kind, text, bytes) = match &message.payload {
                // Postgres' texts hold no zero byte. The database's encoding is UTF-8, or one that takes all else.
                Payload::Text(text) if text.contains('\0') => (b't', None, Some(text.as_bytes())),
                Payload::Text(text) => (b't', Some(text.as_str()), None),
                Payload::Binary(bytes) => (b'b', None, Some(bytes.as_ref())),
            };
            rows.add(&[
                value(*id),
                value(of_one.connection),
                value(to_timestamp(message.at)),
                value(of_one.owner),
                value(slot),
                value(kind.cast_signed()),
                value(text),
                value(bytes),
            ]);
        }
    }
    rows.close();
    hand_to_functions(landed, slot)
}

fn hand_to_functions(landed: &[Incoming<'_>], slot: i16) -> Result<(), Error> {
    if landed.iter().all(|of_one| of_one.handling == Handling::Nobody) {
        return Ok(());
    }
    let mut rows = Rows::open(c"ws_handling", &HANDLING)?;
    for of_one in landed.iter().filter(|of_one| of_one.handling == Handling::Function) {
        for (id, _) in &of_one.messages {
            rows.add(&[value(*id), value(of_one.connection), value(of_one.owner), value(slot)]);
        }
    }
    rows.close();
    Ok(())
}

/// Tells the sessions that listen, once the transaction commits.
pub fn notify(news: &[News]) -> Told {
    let payload = |one: &News| match one {
        News::Message { connection, id } => format!("{{\"connection_id\":{connection},\"id\":{id}}}"),
        News::State { connection, state } => format!("{{\"connection_id\":{connection},\"state\":\"{state}\"}}"),
    };
    notify::send(CHANNEL, news.iter().map(payload))
}
