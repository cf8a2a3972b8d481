//! `edge.retry_policy`: a retry policy as JSON, checked.

use pgrx::datum::{AnyNumeric, Interval};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::domain::retry_policy::Written;
use crate::error::Error;
use crate::store::datum::Jsonb;

/// A retry policy, for an endpoint.
#[pg_extern(schema = "edge", immutable, parallel_safe)]
#[allow(clippy::too_many_arguments, reason = "the SQL contract")]
fn retry_policy(
    max_attempts: default!(Option<i32>, "3"),
    base: default!(Option<Interval>, "'1 s'"),
    factor: default!(Option<AnyNumeric>, "2"),
    cap: default!(Option<Interval>, "'1 h'"),
    jitter: default!(Option<Interval>, "'1 s'"),
    max_age: default!(Option<Interval>, "NULL"),
    retry_on: default!(Option<Vec<Option<String>>>, "NULL"),
) -> Result<Jsonb, ErrorReport> {
    let written = Written {
        preset: None,
        max_attempts: max_attempts.map(i64::from),
        base: base.map(seconds),
        factor: factor.map(|factor| f64::try_from(factor).unwrap_or(f64::NAN)),
        cap: cap.map(seconds),
        jitter: jitter.map(seconds),
        max_age: max_age.map(seconds),
        retry_on: retry_on.map(items).transpose()?,
    };
    written.policy().map_err(Error::from)?;
    Ok(Jsonb::parse(&written.to_json()).ok_or(Error::Malformed)?)
}

fn seconds(interval: Interval) -> f64 {
    interval.as_micros() as f64 / 1e6
}

fn items(given: Vec<Option<String>>) -> Result<Vec<String>, Error> {
    given.into_iter().map(|item| item.ok_or(Error::NullArgument("an item of retry_on"))).collect()
}
