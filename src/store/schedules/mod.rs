//! Schedules: written by their owners, moved on by the dispatcher.

pub mod beginning;
pub mod candidates;
pub mod commands;
pub mod default_zone;
pub mod definition;
pub mod due;
pub mod endpoint;
pub mod history;
pub mod open_runs;
pub mod pg_cron;
mod run;
pub mod runs;
pub mod waiting_runs;

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::prelude::*;
use pgrx::spi::SpiHeapTupleData;

use crate::error::Error;
use crate::store::schedules::runs::{Template, Work};
use crate::store::statement::statements;
use crate::store::table;

/// Where a schedule stands.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub next_run_at: Option<TimestampWithTimeZone>,
    pub due_at: Option<TimestampWithTimeZone>,
    /// The last slot that was dealt with.
    pub passed: TimestampWithTimeZone,
}

/// A schedule that there is, as far as it decides when it runs.
pub struct Existing {
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
pub fn lock(name: &str, role: pg_sys::Oid, of: Of) -> Result<Vec<Existing>, Error> {
    Spi::connect_mut(|client| {
        let args = [name.into(), role.into(), (of == Of::Everybody).into()];
        let rows = LOCK.with(|statement| statement.write(client, &args))?;
        rows.map(|row| existing(&row)).collect()
    })
}

/// Locks the schedule of a number, and tells whose it is.
pub fn lock_by_id(id: i64) -> Result<Option<pg_sys::Oid>, Error> {
    Spi::connect_mut(|client| {
        let mut rows = LOCK_BY_ID.with(|statement| statement.write(client, &[id.into()]))?;
        Ok(rows.next().map(|row| row.get::<pg_sys::Oid>(1)).transpose()?.flatten())
    })
}

fn existing(row: &SpiHeapTupleData<'_>) -> Result<Existing, Error> {
    Ok(Existing {
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
