//! Background jobs: `edge.job`, and what their functions report.

pub mod reports;

use std::time::Duration;

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::arguments;
use super::call::{Besides, Nature, queue_as};
use super::invoke::function;
use super::request::{Body, Manner, Wanted};
use crate::domain::job::{LONGEST, SHORTEST, Terms};
use crate::error::Error;
use crate::store::datum::{Jsonb, RegProc, Text};

/// Queues a call of a function that may accept it now and complete it later.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments, reason = "the SQL contract")]
fn job(
    function_name: Option<Text>,
    body: default!(Option<Jsonb>, "NULL"),
    endpoint: default!(Option<Text>, "'default'"),
    deadline: default!(Option<Interval>, "'5 minutes'"),
    heartbeat: default!(Option<Interval>, "NULL"),
    max_attempts: default!(Option<i32>, "NULL"),
    method: default!(Option<Text>, "'POST'"),
    params: default!(Option<Jsonb>, "'{}'"),
    headers: default!(Option<Jsonb>, "'{}'"),
    region: default!(Option<Text>, "NULL"),
    timeout: default!(Option<Interval>, "NULL"),
    run_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    idempotency_key: default!(Option<Text>, "NULL"),
    on_complete: default!(Option<RegProc>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
) -> Result<i64, ErrorReport> {
    let method = arguments::required(method, "method")?.read("method")?;
    let terms = Terms {
        deadline: limit("deadline", arguments::required(deadline, "deadline")?)?,
        heartbeat: heartbeat.map(|given| limit("heartbeat", given)).transpose()?,
    };
    let target = function(function_name, region)?;
    let endpoint = Some(arguments::required(endpoint, "endpoint")?);
    let manner = Manner { params, headers, timeout, max_attempts, endpoint };
    let wanted = Wanted { method: &method, target, body: Body::Value(body), manner };
    let besides = Besides { run_at, idempotency_key, stream: None, on_complete, metadata };
    Ok(queue_as(Nature::Job(terms), wanted, besides)?)
}

/// A length of time that a delivery may take, or a function be silent.
pub fn limit(argument: &'static str, given: Interval) -> Result<Duration, Error> {
    let micros = |duration: Duration| i128::try_from(duration.as_micros()).unwrap_or(i128::MAX);
    let range = micros(SHORTEST)..=micros(LONGEST);
    let given = arguments::within(argument, "at least 100 milliseconds and at most 24 days", range, given)?;
    Ok(Duration::from_millis(u64::try_from(given.as_micros() / 1000).unwrap_or(u64::MAX)))
}
