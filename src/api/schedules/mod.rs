//! Making schedules: `edge.schedule`, `edge.schedule_invoke` and `edge.schedule_http`.
//!
//! All that can be known to be wrong is an error here, in the caller's transaction. What a schedule runs is kept as it was
//! checked, so that a slot which comes due finds nothing to be asked any more.

mod control;
mod import;
mod options;
mod plan;
mod preview;
mod runs;
mod take_over;

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::api::arguments;
use crate::api::invoke;
use crate::api::request::{self, Body, Checked, Manner, Target, Wanted};
use crate::api::schedules::options::{self as given, Clock, Given};
use crate::api::schedules::plan::Written;
use crate::error::Error;
use crate::store::datum::{Jsonb, Text};
use crate::store::schedules::definition::{Call, CallKind, Target as Runs};
use crate::store::{owner, syntax};
use crate::worker::wake::{self, reason};

/// Runs SQL by a schedule.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments, reason = "the SQL contract")]
fn schedule(
    name: Option<Text>,
    schedule: Option<Text>,
    command: Option<Text>,
    timezone: default!(Option<Text>, "NULL"),
    overlap: default!(Option<Text>, "'skip'"),
    catchup: default!(Option<Text>, "'one'"),
    catchup_window: default!(Option<Interval>, "'1 day'"),
    jitter: default!(Option<Interval>, "NULL"),
    starts_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    ends_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    max_attempts: default!(Option<i32>, "NULL"),
    timeout: default!(Option<Interval>, "NULL"),
    dst: default!(Option<Text>, "'vixie'"),
    active: default!(Option<bool>, "true"),
) -> Result<i64, ErrorReport> {
    let given = Given { overlap, catchup, catchup_window, jitter, starts_at, ends_at, active };
    let name = arguments::name(name)?;
    let clock = Clock::read(schedule, timezone, dst)?;
    let command = arguments::required(command, "command")?.read("command")?;
    syntax::check(&command)?;
    let written = Written {
        name: &name,
        clock: &clock,
        options: &given.check()?,
        note: None,
        runs: Runs::Command(&command),
        max_attempts: arguments::max_attempts(max_attempts)?,
        timeout_ms: given::command_timeout(timeout)?,
    };
    Ok(plan::put(owner::current_role(), &written)?)
}

/// Calls a function of an endpoint by a schedule.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments, reason = "the SQL contract")]
fn schedule_invoke(
    name: Option<Text>,
    schedule: Option<Text>,
    function_name: Option<Text>,
    body: default!(Option<Jsonb>, "NULL"),
    endpoint: default!(Option<Text>, "'default'"),
    headers: default!(Option<Jsonb>, "'{}'"),
    timezone: default!(Option<Text>, "NULL"),
    overlap: default!(Option<Text>, "'skip'"),
    catchup: default!(Option<Text>, "'one'"),
    catchup_window: default!(Option<Interval>, "'1 day'"),
    jitter: default!(Option<Interval>, "NULL"),
    starts_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    ends_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    max_attempts: default!(Option<i32>, "NULL"),
    timeout: default!(Option<Interval>, "NULL"),
    dst: default!(Option<Text>, "'vixie'"),
    active: default!(Option<bool>, "true"),
) -> Result<i64, ErrorReport> {
    let given = Given { overlap, catchup, catchup_window, jitter, starts_at, ends_at, active };
    let target = invoke::function(function_name, None)?;
    let endpoint = Some(arguments::required(endpoint, "endpoint")?);
    let manner = Manner { headers, timeout, max_attempts, endpoint, params: None };
    let wanted = Wanted { method: "POST", target, body: Body::Value(body), manner };
    Ok(call(name, Clock::read(schedule, timezone, dst)?, &given, CallKind::Function, wanted)?)
}

/// Calls a URL by a schedule.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments, reason = "the SQL contract")]
fn schedule_http(
    name: Option<Text>,
    schedule: Option<Text>,
    url: Option<Text>,
    body: default!(Option<Jsonb>, "'{}'"),
    headers: default!(Option<Jsonb>, "'{}'"),
    method: default!(Option<Text>, "'POST'"),
    timezone: default!(Option<Text>, "NULL"),
    overlap: default!(Option<Text>, "'skip'"),
    catchup: default!(Option<Text>, "'one'"),
    catchup_window: default!(Option<Interval>, "'1 day'"),
    jitter: default!(Option<Interval>, "NULL"),
    starts_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    ends_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    max_attempts: default!(Option<i32>, "NULL"),
    timeout: default!(Option<Interval>, "NULL"),
    dst: default!(Option<Text>, "'vixie'"),
    active: default!(Option<bool>, "true"),
) -> Result<i64, ErrorReport> {
    let given = Given { overlap, catchup, catchup_window, jitter, starts_at, ends_at, active };
    let method = arguments::required(method, "method")?.read("method")?;
    // What these methods' requests may hold means nothing (RFC 9110, section 9.3), and some servers refuse it.
    let without_body = ["GET", "HEAD"].iter().any(|name| name.eq_ignore_ascii_case(&method));
    let body = if without_body { Body::None } else { Body::Json(body) };
    let manner = Manner { headers, timeout, max_attempts, ..Manner::default() };
    let wanted = Wanted { method: &method, target: Target::Url(url), body, manner };
    Ok(call(name, Clock::read(schedule, timezone, dst)?, &given, CallKind::Url, wanted)?)
}

/// Tells the dispatcher that schedules were written, at the commit.
#[pg_extern(schema = "edge_store", volatile, parallel_unsafe)]
fn wake_for_schedules() {
    wake::at_commit(reason::SCHEDULES);
}

fn call(name: Option<Text>, clock: Clock, given: &Given, kind: CallKind, wanted: Wanted<'_>) -> Result<i64, Error> {
    let (name, owner) = (arguments::name(name)?, owner::current_role());
    let request = request::check(wanted, owner)?;
    let written = Written {
        name: &name,
        clock: &clock,
        options: &given.check()?,
        note: None,
        runs: runs(kind, &request),
        max_attempts: request.max_attempts,
        timeout_ms: request.timeout_ms,
    };
    plan::put(owner, &written)
}

/// A request, as a schedule keeps it.
pub fn runs(kind: CallKind, request: &Checked) -> Runs<'_> {
    Runs::Call(Call {
        kind,
        method: request.method.as_str(),
        url: &request.url,
        endpoint: request.endpoint(),
        headers: request.headers.as_deref(),
        body: request.body.as_deref(),
    })
}
