//! `edge.invoke`: calling a function of an endpoint as the platforms' own clients do.

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::arguments;
use super::call::{Besides, queue};
use super::request::{Body, Manner, Target, Wanted};
use crate::domain::endpoint;
use crate::error::Error;
use crate::store::datum::{Jsonb, RegProc, Text};

/// The region that means none in particular.
const ANY_REGION: &str = "any";

/// Queues a call of a function.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments, reason = "the SQL contract")]
fn invoke(
    function_name: Option<Text>,
    body: default!(Option<Jsonb>, "NULL"),
    endpoint: default!(Option<Text>, "'default'"),
    method: default!(Option<Text>, "'POST'"),
    params: default!(Option<Jsonb>, "'{}'"),
    headers: default!(Option<Jsonb>, "'{}'"),
    region: default!(Option<Text>, "NULL"),
    timeout: default!(Option<Interval>, "NULL"),
    max_attempts: default!(Option<i32>, "NULL"),
    run_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    idempotency_key: default!(Option<Text>, "NULL"),
    stream: default!(Option<Text>, "NULL"),
    on_complete: default!(Option<RegProc>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
) -> Result<i64, ErrorReport> {
    let method = arguments::required(method, "method")?.read("method")?;
    let target = function(function_name, region)?;
    let endpoint = Some(arguments::required(endpoint, "endpoint")?);
    let manner = Manner { params, headers, timeout, max_attempts, endpoint };
    let wanted = Wanted { method: &method, target, body: Body::Value(body), manner };
    Ok(queue(wanted, Besides { run_at, idempotency_key, stream, on_complete, metadata })?)
}

pub fn function(name: Option<Text>, region: Option<Text>) -> Result<Target, Error> {
    let name = arguments::required(name, "function_name")?.read("function_name")?;
    let path = endpoint::function_path(&name)?.to_owned();
    let region = region.map(|region| region.read("region")).transpose()?.filter(|region| region != ANY_REGION);
    if let Some(region) = &region {
        endpoint::region(region)?;
    }
    Ok(Target::Function { path, region })
}
