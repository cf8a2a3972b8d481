//! How websockets are, as the dispatcher writes it and its successor reads it.

use std::time::SystemTime;

use pgrx::prelude::*;

use crate::error::Error;
use crate::store::statement::{column, statements};
use crate::store::time::to_timestamp;

/// How a websocket is.
#[derive(Clone, Debug)]
pub struct State {
    pub connection: i64,
    /// The wish that this is about.
    pub revision: i64,
    pub name: &'static str,
    pub opened_at: Option<SystemTime>,
    pub next_try_at: Option<SystemTime>,
    pub last_error: Option<String>,
    pub handshake_status: Option<u16>,
    pub subprotocol: Option<String>,
    pub close_code: Option<u16>,
    pub close_reason: Option<String>,
    pub counts: Counts,
    /// Below this id, every message of it has been sent, or never will be.
    pub unsent_from: i64,
}

/// What a websocket has done in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub sent: i64,
    pub received: i64,
    pub reconnects: i64,
}

/// What a predecessor has left of a websocket.
#[derive(Clone, Debug)]
pub struct Left {
    pub connection: i64,
    pub revision: i64,
    pub state: String,
    pub last_error: Option<String>,
    pub handshake_status: Option<u16>,
    pub close_code: Option<u16>,
    pub close_reason: Option<String>,
    pub counts: Counts,
    pub unsent_from: i64,
    /// Whether there are messages that have not been sent.
    pub unsent: Unsent,
}

/// Whether there are messages that have not been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    None,
    Some,
}

statements! {
    WRITE(INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID, INT2ARRAYOID,
          TEXTARRAYOID, INT4ARRAYOID, TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID) = "
        insert into edge_store.ws_state (
            connection_id, revision, state, opened_at, next_try_at, last_error, handshake_status, subprotocol, close_code,
            close_reason, sent, received, reconnects, unsent_from)
        select * from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        on conflict (connection_id) do update set (
            revision, state, opened_at, next_try_at, last_error, handshake_status, subprotocol, close_code, close_reason,
            sent, received, reconnects, unsent_from) = (
            excluded.revision, excluded.state, excluded.opened_at, excluded.next_try_at, excluded.last_error,
            excluded.handshake_status, excluded.subprotocol, excluded.close_code, excluded.close_reason,
            excluded.sent, excluded.received, excluded.reconnects, excluded.unsent_from)";

    // What became of a message is in the slot of the message.
    LEFT() = "
        select connection_id, revision, state, last_error, handshake_status, close_code, close_reason, sent, received,
               reconnects, unsent_from,
               exists (
                   select from edge_store.ws_outgoing as message
                   where message.connection_id = state.connection_id and message.id >= state.unsent_from
                     and not exists (
                         select from edge_store.ws_outcome as outcome
                         where outcome.message_id = message.id and outcome.slot = message.slot))
        from edge_store.ws_state as state";
}

/// Writes how websockets are.
pub fn write(states: &[State]) -> Result<(), Error> {
    let code = |code: Option<u16>| code.map(i32::from);
    let status = |status: Option<u16>| status.and_then(|status| i16::try_from(status).ok());
    let args = [
        column(states, |state| state.connection).into(),
        column(states, |state| state.revision).into(),
        column(states, |state| state.name).into(),
        column(states, |state| state.opened_at.map(to_timestamp)).into(),
        column(states, |state| state.next_try_at.map(to_timestamp)).into(),
        column(states, |state| state.last_error.clone()).into(),
        column(states, |state| status(state.handshake_status)).into(),
        column(states, |state| state.subprotocol.clone()).into(),
        column(states, |state| code(state.close_code)).into(),
        column(states, |state| state.close_reason.clone()).into(),
        column(states, |state| state.counts.sent).into(),
        column(states, |state| state.counts.received).into(),
        column(states, |state| state.counts.reconnects).into(),
        column(states, |state| state.unsent_from).into(),
    ];
    Spi::connect_mut(|client| {
        WRITE.with(|statement| statement.write(client, &args))?;
        Ok(())
    })
}

/// What a predecessor has left.
pub fn left() -> Result<Vec<Left>, Error> {
    Spi::connect(|client| {
        let rows = LEFT.with(|statement| statement.read(client, &[]))?;
        rows.map(|row| {
            let count = |ordinal| row.get::<i64>(ordinal).map(Option::unwrap_or_default);
            Ok(Left {
                connection: row.get(1)?.ok_or(Error::Malformed)?,
                revision: row.get(2)?.ok_or(Error::Malformed)?,
                state: row.get(3)?.unwrap_or_default(),
                last_error: row.get(4)?,
                handshake_status: row.get::<i16>(5)?.map(i16::unsigned_abs),
                close_code: row.get::<i32>(6)?.and_then(|code| u16::try_from(code).ok()),
                close_reason: row.get(7)?,
                counts: Counts { sent: count(8)?, received: count(9)?, reconnects: count(10)? },
                unsent_from: count(11)?,
                unsent: if row.get::<bool>(12)? == Some(true) { Unsent::Some } else { Unsent::None },
            })
        })
        .collect()
    })
}
