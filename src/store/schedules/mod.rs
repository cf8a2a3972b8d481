//! Schedules: written by their owners, moved on by the dispatcher.

pub mod beginning;
pub mod commands;
pub mod default_zone;
pub mod due;
pub mod endpoint;
pub mod history;
pub mod open_runs;
pub mod pg_cron;
mod run;
pub mod runs;

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::prelude::*;
use pgrx::spi::SpiHeapTupleData;

use crate::error::Error;
use crate::store::schedules::runs::{Template, Work};
use crate::store::statement::statements;
use crate::store::table;

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
pub struct Said<'a> {
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

/// Where a schedule stands.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub next_run_at: Option<TimestampWithTimeZone>,
    pub due_at: Option<TimestampWithTimeZone>,
    /// The last slot that was dealt with.
    pub passed: TimestampWithTimeZone,
}

/// A schedule that there is, as far as it decides when it runs.
pub struct Known {
    pub id: i64,
    pub owner: pg_sys::Oid,
    pub name: String,
    pub schedule: String,
    pub timezone: String,
    pub dst: String,
    pub jitter: Option<Interval>,
    pub starts_at: Option<TimestampWithTimeZone>,
    pub ends_at: Option<TimestampWithTimeZone>,
    pub active: bool,
    pub overlap: String,
    pub plan: Plan,
}

statements! {
    // Locked, so that the dispatcher does not move it on meanwhile.
    LOCK(TEXTOID, OIDOID, BOOLOID) = "
        select id, owner::oid, schedule, timezone, dst, jitter, starts_at, ends_at, active, passed, name,
               overlap, next_run_at, due_at
        from edge_store.schedule
        where name = $1 and (owner = $2 or $3)
        order by owner <> $2
        for no key update";

    LOCK_BY_ID(INT8OID) = "select owner::oid from edge_store.schedule where id = $1 for no key update";

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

    PAUSE(INT8OID, TEXTOID, TEXTOID) = "
        update edge_store.schedule
        set active = false, note = $2, noted_by = $3, next_run_at = null, due_at = null, updated_at = clock_timestamp()
        where id = $1";

    RESUME(INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID) = "
        update edge_store.schedule
        set active = true, note = null, noted_by = null, next_run_at = $2, due_at = $3, passed = $4,
            updated_at = clock_timestamp()
        where id = $1";

    TEMPLATE(INT8OID) = "
        select owner::oid, name, kind::text, method, url, endpoint, headers, body, max_attempts, timeout_ms
        from edge_store.schedule where id = $1";

    DROP(INT8OID) = "delete from edge_store.schedule where id = $1";

    // Nobody could tell any more what was to be run.
    END_WAITING(INT8OID) = "
        update edge_store.schedule_run
        set state = 'cancelled', finished_at = clock_timestamp(), error = 'the schedule was dropped'
        where schedule_id = $1 and state = 'waiting' and finished_at is null";

    OPEN_CALLS(INT8OID) = "
        select call_id from edge_store.schedule_run
        where schedule_id = $1 and finished_at is null and call_id is not null
        order by run_id";
}

/// The number of a schedule that is still to be written.
pub fn next_id() -> Result<i64, Error> {
    table::next_value(c"schedule_id")
}

/// Which schedules of a name are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Those of the role alone.
    Role,
    /// Everybody's, those of the role first.
    Everybody,
}

/// Finds schedules by their name, and locks them.
pub fn lock(name: &str, role: pg_sys::Oid, of: Of) -> Result<Vec<Known>, Error> {
    Spi::connect_mut(|client| {
        let args = [name.into(), role.into(), (of == Of::Everybody).into()];
        let rows = LOCK.with(|statement| statement.write(client, &args))?;
        rows.map(|row| known(&row)).collect()
    })
}

/// Locks the schedule of a number, and tells whose it is.
pub fn lock_by_id(id: i64) -> Result<Option<pg_sys::Oid>, Error> {
    Spi::connect_mut(|client| {
        let mut rows = LOCK_BY_ID.with(|statement| statement.write(client, &[id.into()]))?;
        Ok(rows.next().map(|row| row.get::<pg_sys::Oid>(1)).transpose()?.flatten())
    })
}

fn known(row: &SpiHeapTupleData<'_>) -> Result<Known, Error> {
    Ok(Known {
        id: row.get(1)?.ok_or(Error::Malformed)?,
        owner: row.get(2)?.ok_or(Error::Malformed)?,
        name: row.get(11)?.ok_or(Error::Malformed)?,
        schedule: row.get(3)?.ok_or(Error::Malformed)?,
        timezone: row.get(4)?.ok_or(Error::Malformed)?,
        dst: row.get(5)?.ok_or(Error::Malformed)?,
        jitter: row.get(6)?,
        starts_at: row.get(7)?,
        ends_at: row.get(8)?,
        active: row.get(9)?.ok_or(Error::Malformed)?,
        overlap: row.get(12)?.ok_or(Error::Malformed)?,
        plan: Plan { next_run_at: row.get(13)?, due_at: row.get(14)?, passed: row.get(10)?.ok_or(Error::Malformed)? },
    })
}

/// Writes a schedule, over one of the same owner and name if there is one, and gives the number that it has. `by` is who
/// says so.
pub fn put(id: i64, owner: pg_sys::Oid, said: &Said<'_>, plan: &Plan, by: &str) -> Result<i64, Error> {
    let (kind, command, call) = parts(said.target);
    let args = [
        id.into(),
        owner.into(),
        said.name.into(),
        kind.into(),
        said.schedule.into(),
        said.timezone.into(),
        said.dst.into(),
        said.overlap.into(),
        said.catchup.into(),
        said.catchup_window.into(),
        said.jitter.into(),
        said.starts_at.into(),
        said.ends_at.into(),
        said.active.into(),
        said.note.into(),
        (!said.active).then_some(by).into(),
        command.into(),
        call.map(|call| call.method).into(),
        call.map(|call| call.url).into(),
        call.and_then(|call| call.endpoint).into(),
        call.and_then(|call| call.headers).into(),
        call.and_then(|call| call.body).into(),
        said.max_attempts.into(),
        said.timeout_ms.into(),
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

/// What a schedule runs.
pub fn template(id: i64) -> Result<Template, Error> {
    Spi::connect_mut(|client| {
        let row = TEMPLATE.with(|statement| statement.write(client, &[id.into()]))?.first();
        let work = if row.get::<String>(3)?.as_deref() == Some("s") {
            Work::Command
        } else {
            Work::Call(runs::Call {
                method: row.get(4)?.ok_or(Error::Malformed)?,
                url: row.get(5)?.ok_or(Error::Malformed)?,
                endpoint: row.get(6)?,
                headers: row.get(7)?,
                body: row.get(8)?,
                max_attempts: row.get(9)?,
                timeout_ms: row.get(10)?,
            })
        };
        let (owner, name) = (row.get(1)?.ok_or(Error::Malformed)?, row.get(2)?.ok_or(Error::Malformed)?);
        Ok(Template { schedule: id, owner, name, work })
    })
}

/// Lets a schedule rest.
pub fn pause(id: i64, note: Option<&str>, by: &str) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        PAUSE.with(|statement| statement.write(client, &[id.into(), note.into(), by.into()]))?;
        Ok(())
    })
}

/// Has a schedule run again, by a new plan.
pub fn resume(id: i64, plan: &Plan) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        let args = [id.into(), plan.next_run_at.into(), plan.due_at.into(), plan.passed.into()];
        RESUME.with(|statement| statement.write(client, &args))?;
        Ok(())
    })
}

/// Removes a schedule, and ends its runs that have not begun.
pub fn drop(id: i64) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        END_WAITING.with(|statement| statement.write(client, &[id.into()]))?;
        DROP.with(|statement| statement.write(client, &[id.into()]))?;
        Ok(())
    })
}

/// The calls of a schedule that have not ended.
pub fn open_calls(id: i64) -> Result<Vec<i64>, Error> {
    Spi::connect_mut(|client| {
        let rows = OPEN_CALLS.with(|statement| statement.write(client, &[id.into()]))?;
        rows.map(|row| row.get::<i64>(1)?.ok_or(Error::Malformed)).collect()
    })
}
