//! `edge.invoke_batch`: calling a function with a list of items, as many at once as it can take.

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::iter::SetOfIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::arguments;
use super::call::{Besides, Nature, queue_as};
use super::invoke::function;
use super::request::{self, Body, Manner, Wanted};
use crate::domain::batch::MOST_ITEMS;
use crate::domain::batch::chunks::{Most, chunks};
use crate::error::Error;
use crate::guc::Settings;
use crate::store::datum::{Jsonb, RegProc, Text};
use crate::store::jsonb_array::JsonbArray;

/// Queues calls of a function, each with a list of some of the items, and gives their ids.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments, reason = "the SQL contract")]
fn invoke_batch(
    function_name: Option<Text>,
    items: Option<JsonbArray>,
    max_items: default!(Option<i32>, "100"),
    endpoint: default!(Option<Text>, "'default'"),
    method: default!(Option<Text>, "'POST'"),
    params: default!(Option<Jsonb>, "'{}'"),
    headers: default!(Option<Jsonb>, "'{}'"),
    region: default!(Option<Text>, "NULL"),
    timeout: default!(Option<Interval>, "NULL"),
    max_attempts: default!(Option<i32>, "NULL"),
    run_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    idempotency_key: default!(Option<Text>, "NULL"),
    on_complete: default!(Option<RegProc>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
    max_bytes: default!(Option<i32>, "NULL"),
) -> Result<SetOfIterator<'static, i64>, ErrorReport> {
    let endpoint = arguments::required(endpoint, "endpoint")?;
    // What array_agg gives where there are no rows.
    let items = items.map(|items| items.read("items")).transpose()?.unwrap_or_default();
    let method = arguments::required(method, "method")?.read("method")?;
    let key = idempotency_key.map(|key| key.read("idempotency_key")).transpose()?;
    let bodies = chunks(&items, most(max_items, max_bytes, endpoint)?).map_err(Error::from)?;
    let manner = Manner { params, headers, timeout, max_attempts, endpoint: Some(endpoint) };
    let mut ids = Vec::with_capacity(bodies.len());
    for (number, body) in (1..).zip(bodies) {
        let target = function(function_name, region)?;
        let wanted = Wanted { method: &method, target, body: Body::Items(body), manner };
        let idempotency_key = key.as_ref().and_then(|key| Text::of(&format!("{key}-{number}")));
        let besides = Besides { run_at, idempotency_key, stream: None, on_complete, metadata };
        ids.push(queue_as(Nature::Items, wanted, besides)?);
    }
    Ok(SetOfIterator::new(ids))
}

/// How much may go into one call: as was said, and not more than the endpoint takes.
fn most(max_items: Option<i32>, max_bytes: Option<i32>, endpoint: Text) -> Result<Most, Error> {
    let given = arguments::required(max_items, "max_items")?;
    let items = usize::try_from(given).ok().filter(|items| (1..=MOST_ITEMS).contains(items));
    let items = items.ok_or_else(|| Error::OutOfRange {
        argument: "max_items",
        wanted: "between 1 and 10000",
        given: given.to_string(),
    })?;
    let endpoint = request::find(endpoint)?;
    let largest = endpoint.max_request_bytes(Settings::current().max_request_bytes);
    let Some(given) = max_bytes else { return Ok(Most { items, bytes: largest }) };
    let bytes = usize::try_from(given).ok().filter(|bytes| *bytes > 0);
    let bytes = bytes.ok_or_else(|| Error::OutOfRange {
        argument: "max_bytes",
        wanted: "one or more",
        given: given.to_string(),
    })?;
    Ok(Most { items, bytes: bytes.min(largest) })
}
