//! The events of streamed answers as they land, and what is known of a stream before its end.
//!
//! Runs on the main thread of a dispatcher, inside the turn's transaction.

use pgrx::prelude::*;

use super::by_key;
use super::datum::count;
use super::lists;
use super::notify::{self, Told};
use super::slots::{self, EVENTS};
use super::table::{Column, Rows, Value, value};
use super::time::to_timestamp;
use crate::domain::call::CallId;
use crate::domain::stream::StreamEvent;
use crate::domain::stream::run::runs;
use crate::error::Error;

/// The channel on which sessions hear of new events.
const CHANNEL: &str = "edge_stream";

/// Events of one stream, in order.
#[derive(Debug)]
pub struct Events<'a> {
    pub call: CallId,
    pub slot: i16,
    /// The number of the first of them.
    pub first: u64,
    pub events: &'a [StreamEvent],
}

/// A stream that has begun.
#[derive(Clone, Debug)]
pub struct Beginning {
    pub call: CallId,
    pub slot: i16,
    pub status: u16,
    pub headers: String,
}

/// What sessions that listen are told of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    pub call: CallId,
    /// The number of its last event.
    pub seq: u64,
    pub progress: Progress,
}

/// Whether more may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    GoesOn,
    Done,
}

/// What is written of events, in the table's order.
const EVENT: [Column; 11] = [
    (c"call_id", pg_sys::INT8OID),
    (c"seq", pg_sys::INT8OID),
    (c"received_at", pg_sys::TIMESTAMPTZOID),
    (c"slot", pg_sys::INT2OID),
    (c"event", pg_sys::TEXTOID),
    (c"data", pg_sys::TEXTOID),
    (c"sse_id", pg_sys::TEXTOID),
    (c"received_at_before", pg_sys::TIMESTAMPTZARRAYOID),
    (c"event_before", pg_sys::TEXTARRAYOID),
    (c"data_before", pg_sys::TEXTARRAYOID),
    (c"sse_id_before", pg_sys::TEXTARRAYOID),
];

/// What is written of a stream that has begun, in the table's order.
const STREAM: [Column; 4] = [
    (c"call_id", pg_sys::INT8OID),
    (c"slot", pg_sys::INT2OID),
    (c"status_code", pg_sys::INT2OID),
    (c"headers", pg_sys::TEXTOID),
];

/// Writes events.
pub fn insert(landed: &[Events<'_>]) -> Result<(), Error> {
    for slot in 0..slots::SLOTS {
        let mut here = landed.iter().filter(|of_one| of_one.slot == slot && !of_one.events.is_empty()).peekable();
        if here.peek().is_none() {
            continue;
        }
        let mut rows = Rows::open(slots::of(EVENTS, slot).ok_or(Error::Malformed)?, &EVENT)?;
        for of_one in here {
            let mut seq = of_one.first - 1;
            for run in runs(of_one.events) {
                seq += run.len() as u64;
                if let Some((last, before)) = run.split_last() {
                    rows.add_made(|| row(of_one, seq, last, before));
                }
            }
        }
        rows.close();
    }
    Ok(())
}

/// The row of a run of events, of which the last one has this number.
fn row(of_one: &Events<'_>, seq: u64, last: &StreamEvent, before: &[StreamEvent]) -> [Value; 11] {
    let where_any = |differs: fn(&StreamEvent, &StreamEvent) -> bool| {
        let any = before.iter().any(|event| differs(event, last));
        any.then_some(before.iter())
    };
    let times = where_any(|one, other| one.received_at != other.received_at);
    let kinds = where_any(|one, other| one.kind != other.kind);
    let ids = where_any(|one, other| one.id != other.id);
    [
        value(of_one.call.0),
        value(count(seq)),
        value(to_timestamp(last.received_at)),
        value(of_one.slot),
        value(last.kind.as_deref()),
        value(last.data.as_str()),
        value(last.id.as_deref()),
        times.and_then(|before| lists::times(before.map(|event| event.received_at))),
        kinds.and_then(|before| lists::texts(before.map(|event| event.kind.as_deref()))),
        lists::texts(before.iter().map(|event| Some(event.data.as_str()))),
        ids.and_then(|before| lists::texts(before.map(|event| event.id.as_deref()))),
    ]
}

/// Notes streams that have begun.
pub fn begin(streams: &[&Beginning]) -> Result<(), Error> {
    let mut rows = Rows::open(c"stream", &STREAM)?;
    for stream in streams {
        rows.add(&[
            value(stream.call.0),
            value(stream.slot),
            value(i16::try_from(stream.status).unwrap_or(i16::MAX)),
            value(stream.headers.as_str()),
        ]);
    }
    rows.close();
    Ok(())
}

/// Forgets streams that have ended.
pub fn end(calls: &[i64]) -> Result<(), Error> {
    by_key::delete(c"stream", calls)
}

/// Tells the sessions that listen, once the transaction commits.
pub fn notify(news: &[News]) -> Told {
    let payload = |News { call, seq, progress }: &News| {
        format!("{{\"id\":{call},\"seq\":{seq},\"done\":{}}}", *progress == Progress::Done)
    };
    notify::send(CHANNEL, news.iter().map(payload))
}
