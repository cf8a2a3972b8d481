//! What `pg_edge_net` needs beside SQL. The functions are declared by its own install script, `sql/net`.

use std::sync::atomic::Ordering;

use pgrx::datum::Interval;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::arguments::{required, viewer};
use super::call;
use super::request::{self, Body, Manner, Target, Wanted};
use crate::domain::net;
use crate::error::Error;
use crate::store::callbacks::FOR_COLLECTOR;
use crate::store::calls;
use crate::store::collected;
use crate::store::datum::{Jsonb, Text};
use crate::store::owner;
use crate::store::queue::NewCall;
use crate::store::transaction::under_snapshot;
use crate::worker::latch::{is_alive, my_database};
use crate::worker::shared;
use crate::worker::wake::{self, reason};

/// As long as a call may take at all: what a timeout of zero means there.
const NO_TIMEOUT_MS: i32 = 24 * 60 * 60 * 1000;

/// Queues a request of `net.http_request_queue` as a call that is tried once, and whose outcome the collector stores.
#[pg_extern(sql = false)]
fn net_queue(
    method: Option<Text>,
    url: Option<Text>,
    headers: Option<Jsonb>,
    body: Option<&[u8]>,
    timeout_milliseconds: Option<i32>,
) -> Result<i64, ErrorReport> {
    let method = required(method, "method")?.read("method")?;
    // PUBLIC may call this, and schema net has no other methods.
    if !matches!(method.to_ascii_uppercase().as_str(), "GET" | "POST" | "DELETE") {
        let (argument, wanted) = ("method", "GET, POST or DELETE");
        return Err(Error::OutOfRange { argument, wanted, given: method }.into());
    }
    let timeout_ms = required(timeout_milliseconds, "timeout_milliseconds")?;
    let headers = headers.map(|given| given.read("headers")).transpose()?.map(|given| net::headers(&given));
    let owner = owner::current_role();
    let manner = Manner {
        headers: headers.as_deref().and_then(Jsonb::parse),
        timeout: Some(interval(if timeout_ms > 0 { timeout_ms.min(NO_TIMEOUT_MS) } else { NO_TIMEOUT_MS })),
        max_attempts: Some(1),
        ..Manner::default()
    };
    let body = Body::Bytes { bytes: body.map(<[u8]>::to_vec), content_type: None };
    let wanted = Wanted { method: &method, target: Target::Url(url), body, manner };
    let request = request::check(wanted, owner)?;
    let id = call::write(NewCall {
        owner,
        method: request.method.as_str(),
        url: &request.url,
        endpoint: None,
        headers: request.headers.as_deref(),
        body: request.body.as_deref(),
        timeout_ms: request.timeout_ms,
        max_attempts: request.max_attempts,
        run_at: None,
        on_complete: Some(FOR_COLLECTOR),
        idempotency_key: None,
        metadata: None,
        stream: None,
        terms: None,
        round: None,
    })?;
    make_visible();
    wake::at_commit(reason::CALLS);
    Ok(id)
}

/// Whether a request is the present role's own, or it sees all.
#[pg_extern(sql = false)]
fn net_is_visible(id: Option<i64>) -> Result<bool, ErrorReport> {
    let Some(id) = id else { return Ok(false) };
    let viewer = viewer();
    if under_snapshot(|| calls::place(id, viewer, None))?.is_some() {
        return Ok(true);
    }
    // Its response may be kept for longer than the call.
    let owner = owner::acting(|| under_snapshot(|| collected::owner(id)))?;
    Ok(viewer.sees_all || owner == Some(viewer.role))
}

/// Whether the present transaction has made a request itself, in a subtransaction or not.
#[pg_extern(sql = false)]
fn net_is_queued_here(id: Option<i64>) -> Result<bool, ErrorReport> {
    let Some(id) = id else { return Ok(false) };
    let place = under_snapshot(|| calls::place(id, viewer(), None))?;
    Ok(place.is_some_and(|place| place.queued_here))
}

/// Cancels a request that was taken out of the queue: whoever may do that may do this.
#[pg_extern(sql = false)]
fn net_cancel(id: Option<i64>) -> Result<(), ErrorReport> {
    let Some(id) = id else { return Ok(()) };
    owner::acting(|| calls::ask_to_cancel(id))?;
    wake::at_commit(reason::CALLS | reason::CANCEL);
    Ok(())
}

/// A text as it may stand in the query of a URL.
#[pg_extern(sql = false)]
fn net_urlencode(string: Option<Text>) -> Result<Option<String>, ErrorReport> {
    Ok(string.map(|string| string.read("string")).transpose()?.map(|string| net::encode(&string)))
}

/// A checked URL with parameters that are encoded already.
#[pg_extern(sql = false)]
fn net_encode_url(url: Option<Text>, params: Option<Vec<Option<String>>>) -> Result<Option<String>, ErrorReport> {
    let Some(url) = url.map(|url| url.read("url")).transpose()? else { return Ok(None) };
    let params: Vec<String> = params.into_iter().flatten().flatten().collect();
    Ok(Some(net::with_params(&url, &params).map_err(Error::from)?))
}

/// Wakes the dispatcher at commit.
#[pg_extern(sql = false)]
fn net_wake() {
    wake::at_commit(reason::CALLS);
}

/// The process that sends this database's calls, where there is one.
#[pg_extern(sql = false)]
fn net_worker_pid() -> Option<i32> {
    let pid = shared::database(my_database())?.pid.load(Ordering::Acquire);
    is_alive(pid).then_some(pid)
}

fn interval(millis: i32) -> Interval {
    Interval::from_micros(i64::from(millis) * 1000)
}

/// Lets the rest of the statement see the call: whoever inserts a request with RETURNING is asked whether it is his.
#[allow(unsafe_code, reason = "pgrx has no wrapper for it")]
fn make_visible() {
    // SAFETY: main thread, inside a transaction, in a volatile function, where statements of SPI do the same.
    unsafe { pg_sys::CommandCounterIncrement() };
}
