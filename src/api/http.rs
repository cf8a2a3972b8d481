//! The functions that queue an HTTP call: `edge.http_*_async`.

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::arguments;
use super::call::{Besides, queue};
use super::request::{Body, Manner, Target, Wanted};
use crate::store::datum::{Jsonb, RegProc, Text};

/// Queues a POST with a JSON body.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments, reason = "the SQL contract")]
fn http_post_async(
    url: Option<Text>,
    body: default!(Option<Jsonb>, "'{}'"),
    params: default!(Option<Jsonb>, "'{}'"),
    headers: default!(Option<Jsonb>, "'{}'"),
    timeout: default!(Option<Interval>, "NULL"),
    max_attempts: default!(Option<i32>, "NULL"),
    run_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    idempotency_key: default!(Option<Text>, "NULL"),
    stream: default!(Option<Text>, "NULL"),
    on_complete: default!(Option<RegProc>, "NULL"),
    endpoint: default!(Option<Text>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
) -> Result<i64, ErrorReport> {
    let manner = Manner { params, headers, timeout, max_attempts, endpoint };
    let wanted = Wanted { method: "POST", target: Target::Url(url), body: Body::Json(body), manner };
    Ok(queue(wanted, Besides { run_at, idempotency_key, stream, on_complete, metadata })?)
}

/// Queues a PUT with a JSON body.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments, reason = "the SQL contract")]
fn http_put_async(
    url: Option<Text>,
    body: default!(Option<Jsonb>, "'{}'"),
    params: default!(Option<Jsonb>, "'{}'"),
    headers: default!(Option<Jsonb>, "'{}'"),
    timeout: default!(Option<Interval>, "NULL"),
    max_attempts: default!(Option<i32>, "NULL"),
    run_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    idempotency_key: default!(Option<Text>, "NULL"),
    stream: default!(Option<Text>, "NULL"),
    on_complete: default!(Option<RegProc>, "NULL"),
    endpoint: default!(Option<Text>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
) -> Result<i64, ErrorReport> {
    let manner = Manner { params, headers, timeout, max_attempts, endpoint };
    let wanted = Wanted { method: "PUT", target: Target::Url(url), body: Body::Json(body), manner };
    Ok(queue(wanted, Besides { run_at, idempotency_key, stream, on_complete, metadata })?)
}

/// Queues a PATCH with a JSON body.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments, reason = "the SQL contract")]
fn http_patch_async(
    url: Option<Text>,
    body: default!(Option<Jsonb>, "'{}'"),
    params: default!(Option<Jsonb>, "'{}'"),
    headers: default!(Option<Jsonb>, "'{}'"),
    timeout: default!(Option<Interval>, "NULL"),
    max_attempts: default!(Option<i32>, "NULL"),
    run_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    idempotency_key: default!(Option<Text>, "NULL"),
    stream: default!(Option<Text>, "NULL"),
    on_complete: default!(Option<RegProc>, "NULL"),
    endpoint: default!(Option<Text>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
) -> Result<i64, ErrorReport> {
    let manner = Manner { params, headers, timeout, max_attempts, endpoint };
    let wanted = Wanted { method: "PATCH", target: Target::Url(url), body: Body::Json(body), manner };
    Ok(queue(wanted, Besides { run_at, idempotency_key, stream, on_complete, metadata })?)
}

/// Queues a GET.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments, reason = "the SQL contract")]
fn http_get_async(
    url: Option<Text>,
    params: default!(Option<Jsonb>, "'{}'"),
    headers: default!(Option<Jsonb>, "'{}'"),
    timeout: default!(Option<Interval>, "NULL"),
    max_attempts: default!(Option<i32>, "NULL"),
    run_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    idempotency_key: default!(Option<Text>, "NULL"),
    stream: default!(Option<Text>, "NULL"),
    on_complete: default!(Option<RegProc>, "NULL"),
    endpoint: default!(Option<Text>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
) -> Result<i64, ErrorReport> {
    let manner = Manner { params, headers, timeout, max_attempts, endpoint };
    let wanted = Wanted { method: "GET", target: Target::Url(url), body: Body::None, manner };
    Ok(queue(wanted, Besides { run_at, idempotency_key, stream, on_complete, metadata })?)
}

/// Queues a DELETE, with a JSON body if one is given.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments, reason = "the SQL contract")]
fn http_delete_async(
    url: Option<Text>,
    params: default!(Option<Jsonb>, "'{}'"),
    headers: default!(Option<Jsonb>, "'{}'"),
    timeout: default!(Option<Interval>, "NULL"),
    max_attempts: default!(Option<i32>, "NULL"),
    run_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    idempotency_key: default!(Option<Text>, "NULL"),
    stream: default!(Option<Text>, "NULL"),
    on_complete: default!(Option<RegProc>, "NULL"),
    endpoint: default!(Option<Text>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
    body: default!(Option<Jsonb>, "NULL"),
) -> Result<i64, ErrorReport> {
    let manner = Manner { params, headers, timeout, max_attempts, endpoint };
    let wanted = Wanted { method: "DELETE", target: Target::Url(url), body: Body::Json(body), manner };
    Ok(queue(wanted, Besides { run_at, idempotency_key, stream, on_complete, metadata })?)
}

/// Queues a call with any method and any bytes as its body.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments, reason = "the SQL contract")]
fn http_async(
    method: Option<Text>,
    url: Option<Text>,
    body: default!(Option<&[u8]>, "NULL"),
    content_type: default!(Option<Text>, "NULL"),
    params: default!(Option<Jsonb>, "'{}'"),
    headers: default!(Option<Jsonb>, "'{}'"),
    timeout: default!(Option<Interval>, "NULL"),
    max_attempts: default!(Option<i32>, "NULL"),
    run_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    idempotency_key: default!(Option<Text>, "NULL"),
    stream: default!(Option<Text>, "NULL"),
    on_complete: default!(Option<RegProc>, "NULL"),
    endpoint: default!(Option<Text>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
) -> Result<i64, ErrorReport> {
    let method = arguments::required(method, "method")?.read("method")?;
    let manner = Manner { params, headers, timeout, max_attempts, endpoint };
    let wanted = Wanted {
        method: &method,
        target: Target::Url(url),
        body: Body::Bytes { bytes: body.map(<[u8]>::to_vec), content_type },
        manner,
    };
    Ok(queue(wanted, Besides { run_at, idempotency_key, stream, on_complete, metadata })?)
}
