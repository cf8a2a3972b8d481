//! The final outcomes of calls, as the dispatcher writes them: without SQL, whole batches at a time.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use pgrx::prelude::*;

use super::datum::{Jsonb, count, small};
use super::slots::RESPONSES;
use super::statement::{column, statements};
use super::table::{Column, Rows, Value, value};
use super::time::{micros, to_timestamp};
use crate::domain::attempt::Timings;
use crate::domain::call::{CallId, Final};
use crate::domain::weighed::Weight;
use crate::error::Error;

/// What is written of the wire's side of a try.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    pub started_at: Option<SystemTime>,
    pub timings: Timings,
    pub remote: Option<String>,
    pub status: Option<u16>,
    pub error_class: Option<&'static str>,
    pub error: Option<String>,
}

/// The end of a call.
#[derive(Clone, Debug)]
pub struct Ending {
    pub call: CallId,
    /// What the path of a call to a named endpoint came to.
    pub url: Option<String>,
    pub slot: i16,
    pub owner: pg_sys::Oid,
    pub state: Final,
    pub attempts: u32,
    pub finished_at: SystemTime,
    pub trace: Trace,
    pub headers: Option<String>,
    pub body: Option<Bytes>,
    /// Of a call whose answer was to be streamed.
    pub stream: Option<StreamEnd>,
}

impl Weight for Ending {
    fn bytes(&self) -> usize {
        self.body.as_ref().map_or(0, Bytes::len)
    }
}

/// What is known of a stream at its end.
#[derive(Clone, Debug, Default)]
pub struct StreamEnd {
    /// How many events it had; `None` where the answer was none, or came as a body.
    pub events: Option<u64>,
    pub dialect: Option<&'static str>,
    /// The tokens used, as a text of JSON.
    pub usage: Option<String>,
}

/// What is written of an ending, in the table's order.
const RESPONSE: [Column; 21] = [
    (c"call_id", pg_sys::INT8OID),
    (c"started_at", pg_sys::TIMESTAMPTZOID),
    (c"finished_at", pg_sys::TIMESTAMPTZOID),
    (c"dns_us", pg_sys::INT4OID),
    (c"connect_us", pg_sys::INT4OID),
    (c"tls_us", pg_sys::INT4OID),
    (c"first_byte_us", pg_sys::INT4OID),
    (c"total_us", pg_sys::INT4OID),
    (c"slot", pg_sys::INT2OID),
    (c"status_code", pg_sys::INT2OID),
    (c"attempts", pg_sys::INT2OID),
    (c"state", pg_sys::CHAROID),
    (c"remote", pg_sys::TEXTOID),
    (c"headers", pg_sys::TEXTOID),
    (c"body", pg_sys::BYTEAOID),
    (c"error_class", pg_sys::TEXTOID),
    (c"error", pg_sys::TEXTOID),
    (c"url", pg_sys::TEXTOID),
    (c"events", pg_sys::INT8OID),
    (c"dialect", pg_sys::TEXTOID),
    (c"usage", pg_sys::JSONBOID),
];

statements! {
    INSERT_LATE(INT8ARRAYOID, INT2ARRAYOID) = "
        insert into edge_store.late (call_id, slot)
        select * from unnest($1, $2)";
}

/// Writes the final outcomes of calls.
pub fn insert(endings: &[Ending]) -> Result<(), Error> {
    for (slot, table) in (0..).zip(RESPONSES) {
        let mut here = endings.iter().filter(|ending| ending.slot == slot).peekable();
        if here.peek().is_none() {
            continue;
        }
        let mut rows = Rows::open(table, &RESPONSE)?;
        for ending in here {
            rows.add_made(|| response(ending));
        }
        rows.close();
    }
    Ok(())
}

/// The values of [`RESPONSE`].
fn response(ending: &Ending) -> [Value; 21] {
    let (trace, stream) = (&ending.trace, ending.stream.as_ref());
    // A call that was never on the wire took no time.
    let took = |part: Option<Duration>| value(trace.started_at.and(part).map(micros));
    let timings = &trace.timings;
    [
        value(ending.call.0),
        value(trace.started_at.map(to_timestamp)),
        value(to_timestamp(ending.finished_at)),
        took(timings.dns),
        took(timings.connect),
        took(timings.tls),
        took(timings.first_byte),
        took(Some(timings.total)),
        value(ending.slot),
        value(trace.status.and_then(|status| i16::try_from(status).ok())),
        value(small(ending.attempts)),
        value(ending.state.code() as i8),
        value(trace.remote.as_deref()),
        value(ending.headers.as_deref()),
        value(ending.body.as_deref()),
        value(trace.error_class),
        value(trace.error.as_deref()),
        value(ending.url.as_deref()),
        value(stream.and_then(|stream| stream.events).map(count)),
        value(stream.and_then(|stream| stream.dialect)),
        value(stream.and_then(|stream| stream.usage.as_deref()).and_then(Jsonb::parse)),
    ]
}

/// Notes calls that ended in a slot that is no longer the current one.
pub fn insert_late(endings: &[&Ending]) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        let args = [column(endings, |ending| ending.call.0).into(), column(endings, |ending| ending.slot).into()];
        INSERT_LATE.with(|statement| statement.write(client, &args))?;
        Ok(())
    })
}
