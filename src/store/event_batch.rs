//! Reading the events of a streamed answer, a batch at a time.
//!
//! Runs on the main thread of a session, inside a transaction with an active snapshot. Readers come back for every few
//! events, so this goes by the key and not through SQL.

use std::ops::ControlFlow;

use pgrx::prelude::*;

use super::by_key::{self, Row};
use super::slots::{self, EVENTS, REQUESTS, RESPONSES};
use super::table::Column;
use crate::error::Error;

/// An event as it is kept.
pub struct Event {
    pub seq: i64,
    pub received_at: TimestampWithTimeZone,
    pub kind: Option<String>,
    pub data: String,
    pub sse_id: Option<String>,
}

impl Event {
    fn bytes(&self) -> usize {
        let of = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        of(&self.kind) + self.data.len() + of(&self.sse_id)
    }
}

/// The next events of a call, and whether there can be more.
pub struct Batch {
    pub events: Vec<Event>,
    /// The call has ended, and these are its last events.
    pub is_last: bool,
}

/// So many events are read at once at most.
const MOST: usize = 256;

/// No further event is read once there are so many bytes.
const ENOUGH_BYTES: usize = 256 * 1024;

/// What is read of an event, in the table's order.
const EVENT: [Column; 5] = [
    (c"seq", pg_sys::INT8OID),
    (c"received_at", pg_sys::TIMESTAMPTZOID),
    (c"event", pg_sys::TEXTOID),
    (c"data", pg_sys::TEXTOID),
    (c"sse_id", pg_sys::TEXTOID),
];

/// The events of a call in a slot that follow one of them, as the present snapshot shows them.
pub fn after(id: i64, slot: i16, after_seq: i64) -> Result<Batch, Error> {
    let (mut events, mut bytes, mut is_full) = (Vec::new(), 0, false);
    by_key::visit_after(slots::of(EVENTS, slot).ok_or(Error::Malformed)?, (id, after_seq), &EVENT, |row| {
        let event = event_of(row)?;
        bytes += event.bytes();
        events.push(event);
        is_full = events.len() == MOST || bytes >= ENOUGH_BYTES;
        Ok(if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(Batch { events, is_last: !is_full && has_ended(id, slot)? })
}

/// How a call asks for its answer to be read, if as a stream.
pub fn format(id: i64, slot: i16) -> Result<Option<String>, Error> {
    let table = slots::of(REQUESTS, slot).ok_or(Error::Malformed)?;
    let format = by_key::first(table, id, &[(c"stream", pg_sys::TEXTOID)], |row| row.get(0))?;
    Ok(format.flatten())
}

fn has_ended(id: i64, slot: i16) -> Result<bool, Error> {
    let table = slots::of(RESPONSES, slot).ok_or(Error::Malformed)?;
    Ok(by_key::first(table, id, &[], |_| Ok(()))?.is_some())
}

fn event_of(row: &Row<'_>) -> Result<Event, Error> {
    Ok(Event {
        seq: row.get(0)?.ok_or(Error::Malformed)?,
        received_at: row.get(1)?.ok_or(Error::Malformed)?,
        kind: row.get(2)?,
        data: row.get(3)?.ok_or(Error::Malformed)?,
        sse_id: row.get(4)?,
    })
}
