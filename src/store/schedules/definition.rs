//! What is said of a schedule, as it is kept.

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::prelude::*;

use super::Plan;
use crate::error::Error;
use crate::store::statement::statements;

/// What a schedule runs.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// SQL.
    Command(&'a str),
    /// A call, as it will be queued.
    Call(Call<'a>),
}

/// A call that is made each time.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    pub kind: CallKind,
    pub method: &'a str,
    pub url: &'a str,
    pub endpoint: Option<&'a str>,
    pub headers: Option<&'a str>,
    pub body: Option<&'a [u8]>,
}

/// How a call was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    Function,
    Url,
}

/// What is said of a schedule, checked.
pub struct Definition<'a> {
    pub name: &'a str,
    pub schedule: &'a str,
    pub timezone: &'a str,
    pub dst: &'a str,
    pub overlap: &'a str,
    pub catchup: &'a str,
    pub catchup_window: Interval,
    pub jitter: Option<Interval>,
    pub starts_at: Option<TimestampWithTimeZone>,
    pub ends_at: Option<TimestampWithTimeZone>,
    pub active: bool,
    pub note: Option<&'a str>,
    pub target: Target<'a>,
    pub max_attempts: Option<i16>,
    pub timeout_ms: Option<i32>,
}

statements! {
    PUT(INT8OID, OIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INTERVALOID, INTERVALOID,
        TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, BYTEAOID,
        INT2OID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID) = "
        insert into edge_store.schedule as known
            (id, owner, name, kind, schedule, timezone, dst, overlap, catchup, catchup_window, jitter, starts_at, ends_at,
             active, note, noted_by, command, method, url, endpoint, headers, body, max_attempts, timeout_ms,
             next_run_at, due_at, passed, created_at, updated_at)
        values ($1, $2, $3, $4::\"char\", $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
                $23, $24, $25, $26, $27, clock_timestamp(), clock_timestamp())
        on conflict (owner, name) do update
            set kind = excluded.kind, schedule = excluded.schedule, timezone = excluded.timezone, dst = excluded.dst,
                overlap = excluded.overlap, catchup = excluded.catchup, catchup_window = excluded.catchup_window,
                jitter = excluded.jitter, starts_at = excluded.starts_at, ends_at = excluded.ends_at,
                active = excluded.active,
                note = case when excluded.active then null else coalesce(excluded.note, known.note) end,
                noted_by = case when excluded.active then null else coalesce(known.noted_by, excluded.noted_by) end,
                command = excluded.command, method = excluded.method, url = excluded.url, endpoint = excluded.endpoint,
                headers = excluded.headers, body = excluded.body, max_attempts = excluded.max_attempts,
                timeout_ms = excluded.timeout_ms, next_run_at = excluded.next_run_at, due_at = excluded.due_at,
                passed = excluded.passed, updated_at = excluded.updated_at
        returning id";

    RUNS(INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, BYTEAOID) = "
        select from edge_store.schedule
        where id = $1
          and (kind::text, command, method, url, endpoint, headers, body) is not distinct from ($2, $3, $4, $5, $6, $7, $8)";
}

/// Writes a schedule, over one of the same owner and name if there is one, and gives the number that it has. `by` is who
/// says so.
pub fn put(id: i64, owner: pg_sys::Oid, definition: &Definition<'_>, plan: &Plan, by: &str) -> Result<i64, Error> {
    let (kind, command, call) = parts(definition.target);
    let args = [
        id.into(),
        owner.into(),
        definition.name.into(),
        kind.into(),
        definition.schedule.into(),
        definition.timezone.into(),
        definition.dst.into(),
        definition.overlap.into(),
        definition.catchup.into(),
        definition.catchup_window.into(),
        definition.jitter.into(),
        definition.starts_at.into(),
        definition.ends_at.into(),
        definition.active.into(),
        definition.note.into(),
        (!definition.active).then_some(by).into(),
        command.into(),
        call.map(|call| call.method).into(),
        call.map(|call| call.url).into(),
        call.and_then(|call| call.endpoint).into(),
        call.and_then(|call| call.headers).into(),
        call.and_then(|call| call.body).into(),
        definition.max_attempts.into(),
        definition.timeout_ms.into(),
        plan.next_run_at.into(),
        plan.due_at.into(),
        plan.passed.into(),
    ];
    Spi::connect_mut(|client| {
        let id = PUT.with(|statement| statement.write(client, &args))?.first().get_one::<i64>()?;
        id.ok_or(Error::Malformed)
    })
}

/// How what a schedule runs is kept: its kind, and the command or the call.
const fn parts(target: Target<'_>) -> (&'static str, Option<&str>, Option<Call<'_>>) {
    match target {
        Target::Command(command) => ("s", Some(command), None),
        Target::Call(call) => (if matches!(call.kind, CallKind::Function) { "f" } else { "h" }, None, Some(call)),
    }
}

/// Whether this is what a schedule runs.
pub fn already_runs(id: i64, target: Target<'_>) -> Result<bool, Error> {
    let (kind, command, call) = parts(target);
    Spi::connect_mut(|client| {
        let args = [
            id.into(),
            kind.into(),
            command.into(),
            call.map(|call| call.method).into(),
            call.map(|call| call.url).into(),
            call.and_then(|call| call.endpoint).into(),
            call.and_then(|call| call.headers).into(),
            call.and_then(|call| call.body).into(),
        ];
        Ok(!RUNS.with(|statement| statement.write(client, &args))?.is_empty())
    })
}
