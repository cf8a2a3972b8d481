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

/// No further row is read once there are so many events.
const MOST: usize = 256;

/// No further row is read once there are so many bytes.
const ENOUGH_BYTES: usize = 256 * 1024;

/// What is read of a row, in the table's order.
const EVENT: [Column; 9] = [
    (c"seq", pg_sys::INT8OID),
    (c"received_at", pg_sys::TIMESTAMPTZOID),
    (c"event", pg_sys::TEXTOID),
    (c"data", pg_sys::TEXTOID),
    (c"sse_id", pg_sys::TEXTOID),
    (c"received_at_before", pg_sys::TIMESTAMPTZARRAYOID),
    (c"event_before", pg_sys::TEXTARRAYOID),
    (c"data_before", pg_sys::TEXTARRAYOID),
    (c"sse_id_before", pg_sys::TEXTARRAYOID),
];

/// The events of a call in a slot that follow one of them, as the present snapshot shows them.
pub fn after(id: i64, slot: i16, after_seq: i64) -> Result<Batch, Error> {
    let (mut events, mut bytes, mut is_full) = (Vec::new(), 0, false);
    // A row goes by the number of its last event: the first one found may hold events that were read before.
    by_key::visit_after(slots::of(EVENTS, slot).ok_or(Error::Malformed)?, (id, after_seq), &EVENT, |row| {
        let mut of_row = events_of(row)?;
        of_row.retain(|event| event.seq > after_seq);
        bytes += of_row.iter().map(Event::bytes).sum::<usize>();
        events.append(&mut of_row);
        is_full = events.len() >= MOST || bytes >= ENOUGH_BYTES;
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

/// The events of a row, in order.
fn events_of(row: &Row<'_>) -> Result<Vec<Event>, Error> {
    let last = Event {
        seq: row.get(0)?.ok_or(Error::Malformed)?,
        received_at: row.get(1)?.ok_or(Error::Malformed)?,
        kind: row.get(2)?,
        data: row.get(3)?.ok_or(Error::Malformed)?,
        sse_id: row.get(4)?,
    };
    let Some(before) = row.get::<Vec<String>>(7)? else { return Ok(vec![last]) };
    let mut times = Before::of(last.received_at, row.get(5)?);
    let mut kinds = Before::of(last.kind.clone(), row.get(6)?);
    let mut ids = Before::of(last.sse_id.clone(), row.get(8)?);
    let numbers = last.seq - i64::try_from(before.len()).map_err(|_| Error::Malformed)?..;
    let mut events: Vec<Event> = Vec::with_capacity(before.len() + 1);
    for (seq, data) in numbers.zip(before) {
        let event = Event { seq, received_at: times.next()?, kind: kinds.next()?, data, sse_id: ids.next()? };
        events.push(event);
    }
    events.push(last);
    Ok(events)
}

/// What the events before the last one of a row have: each its own, or all the same.
enum Before<T> {
    Same(T),
    Each(std::vec::IntoIter<T>),
}

impl<T: Clone> Before<T> {
    fn of(same: T, each: Option<Vec<T>>) -> Self {
        each.map_or(Self::Same(same), |each| Self::Each(each.into_iter()))
    }

    fn next(&mut self) -> Result<T, Error> {
        match self {
            Self::Same(same) => Ok(same.clone()),
            Self::Each(each) => each.next().ok_or(Error::Malformed),
        }
    }
}
