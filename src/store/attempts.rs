//! Tries that were not the last of their call, as the dispatcher writes them.

use std::time::{Duration, SystemTime};

use pgrx::prelude::*;

use super::datum::small;
use super::responses::Trace;
use super::statement::{column, statements};
use super::time::{micros, to_timestamp};
use crate::domain::attempt::Timings;
use crate::domain::call::CallId;
use crate::error::Error;

/// A try that was not the last.
#[derive(Clone, Debug)]
pub struct FailedTry {
    pub call: CallId,
    pub slot: i16,
    pub number: u32,
    pub trace: Trace,
    pub retry_at: SystemTime,
}

statements! {
    INSERT_ATTEMPTS(INT8ARRAYOID, INT2ARRAYOID, INT2ARRAYOID, TIMESTAMPTZARRAYOID, INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID,
                    INT4ARRAYOID, INT4ARRAYOID, TEXTARRAYOID, INT2ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID) = "
        insert into edge_store.attempt
            (call_id, slot, number, started_at, dns_us, connect_us, tls_us, first_byte_us, total_us, remote, status_code,
             error_class, error, retry_at)
        select * from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
}

/// Writes tries that were not the last.
pub fn insert(tries: &[FailedTry]) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        let traces = || tries.iter().map(|try_| &try_.trace);
        let args = [
            column(tries, |try_| try_.call.0).into(),
            column(tries, |try_| try_.slot).into(),
            column(tries, |try_| small(try_.number)).into(),
            started(traces()).into(),
            timing(traces(), |timings| timings.dns).into(),
            timing(traces(), |timings| timings.connect).into(),
            timing(traces(), |timings| timings.tls).into(),
            timing(traces(), |timings| timings.first_byte).into(),
            timing(traces(), |timings| Some(timings.total)).into(),
            remote(traces()).into(),
            status(traces()).into(),
            traces().map(|trace| trace.error_class).collect::<Vec<_>>().into(),
            traces().map(|trace| trace.error.as_deref()).collect::<Vec<_>>().into(),
            column(tries, |try_| to_timestamp(try_.retry_at)).into(),
        ];
        INSERT_ATTEMPTS.with(|statement| statement.write(client, &args))?;
        Ok(())
    })
}

fn started<'a>(traces: impl Iterator<Item = &'a Trace>) -> Vec<Option<TimestampWithTimeZone>> {
    traces.map(|trace| trace.started_at.map(to_timestamp)).collect()
}

fn timing<'a>(
    traces: impl Iterator<Item = &'a Trace>,
    part: impl Fn(&Timings) -> Option<Duration>,
) -> Vec<Option<i32>> {
    // A call that was never on the wire took no time.
    traces.map(|trace| trace.started_at.and(part(&trace.timings)).map(micros)).collect()
}

fn remote<'a>(traces: impl Iterator<Item = &'a Trace>) -> Vec<Option<&'a str>> {
    traces.map(|trace| trace.remote.as_deref()).collect()
}

fn status<'a>(traces: impl Iterator<Item = &'a Trace>) -> Vec<Option<i16>> {
    traces.map(|trace| trace.status.and_then(|status| i16::try_from(status).ok())).collect()
}
