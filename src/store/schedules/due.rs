//! Schedules that are due: read by the dispatcher, moved on, or taken out of service.
//!
//! A row that somebody has locked is left alone, and nothing here waits for one.

use std::time::Duration;

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::prelude::*;
use pgrx::spi::SpiHeapTupleData;

use crate::domain::moment::Moment;
use crate::error::Error;
use crate::store::schedules::runs::{Call, Template, Work};
use crate::store::statement::{column, statements};
use crate::store::time::{of_moment, to_moment};

/// A schedule that is due, locked until the transaction ends.
#[derive(Clone, Debug)]
pub struct Due {
    pub template: Template,
    pub schedule: String,
    pub timezone: String,
    pub dst: String,
    pub overlap: String,
    pub catch_up: String,
    pub window: Duration,
    pub jitter: Option<Duration>,
    pub starts_at: Option<Moment>,
    pub ends_at: Option<Moment>,
    pub passed: Moment,
    /// The slot that is due.
    pub slot: Moment,
    pub due_at: Moment,
    pub rights: Rights,
    /// The endpoint that it names is not there.
    pub endpoint_is_gone: bool,
}

/// What the owner of a schedule may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Use the extension.
    Usual,
    /// No longer that.
    None,
    /// The role is gone.
    NoRole,
}

/// How a schedule goes on.
#[derive(Clone, Debug)]
pub struct Progress {
    pub schedule: i64,
    pub next_run_at: Option<Moment>,
    pub due_at: Option<Moment>,
    pub passed: Moment,
    /// What its last run came to, if one has ended before it began.
    pub last_state: Option<&'static str>,
}

/// What is due after a moment.
#[derive(Clone, Copy, Debug)]
pub struct Ahead {
    /// When the next schedule is due.
    pub next: Option<Moment>,
    /// One is due already: somebody has locked it, or there are more than were read.
    pub left_over: bool,
}

statements! {
    DUE(TIMESTAMPTZOID, INT8ARRAYOID, INT8OID) = "
        select schedule.id, schedule.owner::oid, schedule.name, schedule.kind::text,
               schedule.method, schedule.url, schedule.endpoint, schedule.headers, schedule.body,
               schedule.max_attempts, schedule.timeout_ms,
               schedule.schedule, schedule.timezone, schedule.dst, schedule.overlap, schedule.catchup,
               schedule.catchup_window, schedule.jitter,
               schedule.starts_at, schedule.ends_at, schedule.passed, schedule.next_run_at, schedule.due_at,
               role.oid, case when role.oid is not null
                              then pg_catalog.has_function_privilege(role.oid, 'edge.run_now(text)'::pg_catalog.regprocedure, 'execute') end,
               schedule.endpoint is not null and endpoint.name is null
        from edge_store.schedule
        left join pg_catalog.pg_roles as role on role.oid = schedule.owner
        left join edge_store.endpoint on endpoint.name = schedule.endpoint
        where schedule.due_at <= $1 and schedule.id <> all ($2)
        order by schedule.due_at limit $3
        for no key update of schedule skip locked";

    FIRST(TIMESTAMPTZOID, INT8ARRAYOID) = "
        select id from edge_store.schedule where due_at <= $1 and id <> all ($2)
        order by due_at limit 1 for no key update skip locked";

    AHEAD(TIMESTAMPTZOID, INT8ARRAYOID) = "
        select (select due_at from edge_store.schedule where due_at > $1 order by due_at limit 1),
               exists (select from edge_store.schedule where due_at <= $1 and id <> all ($2))";

    MOVE_ON(INT8ARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID) = "
        update edge_store.schedule
        set next_run_at = moved.next_run_at, due_at = moved.due_at, passed = moved.passed,
            last_state = coalesce(moved.last_state, schedule.last_state)
        from unnest($1, $2, $3, $4, $5) as moved (id, next_run_at, due_at, passed, last_state)
        where schedule.id = moved.id";

    DISABLE(INT8ARRAYOID, TEXTARRAYOID) = "
        update edge_store.schedule
        set active = false, due_at = null, next_run_at = null, note = disabled.note, noted_by = 'pg_edge',
            updated_at = pg_catalog.clock_timestamp()
        from unnest($1, $2) as disabled (id, note)
        where schedule.id = disabled.id and schedule.active";
}

/// Reads schedules that are due by `until`, the earliest first, but for some. One that cannot be understood comes with the
/// reason.
pub fn due(until: Moment, but: &[i64], limit: usize) -> Result<Vec<Result<Due, Unreadable>>, Error> {
    Spi::connect_mut(|client| {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let args = [of_moment(until).into(), but.to_vec().into(), limit.into()];
        let rows = DUE.with(|statement| statement.write(client, &args))?;
        rows.map(|row| {
            let id = row.get(1)?.ok_or(Error::Malformed)?;
            Ok(read(&row)?.ok_or(Unreadable { schedule: id }))
        })
        .collect()
    })
}

/// A row of which nothing can be made.
#[derive(Clone, Copy, Debug)]
pub struct Unreadable {
    pub schedule: i64,
}

/// The number of the schedule that [`due`] would read first.
pub fn first(until: Moment, but: &[i64]) -> Result<Option<i64>, Error> {
    Spi::connect_mut(|client| {
        let mut rows =
            FIRST.with(|statement| statement.write(client, &[of_moment(until).into(), but.to_vec().into()]))?;
        Ok(rows.next().map(|row| row.get::<i64>(1)).transpose()?.flatten())
    })
}

/// What is due after a moment, and whether anything is left over from before.
pub fn ahead(until: Moment, but: &[i64]) -> Result<Ahead, Error> {
    Spi::connect_mut(|client| {
        let row =
            AHEAD.with(|statement| statement.write(client, &[of_moment(until).into(), but.to_vec().into()]))?.first();
        let next = row.get::<TimestampWithTimeZone>(1)?.map(to_moment);
        Ok(Ahead { next, left_over: row.get(2)?.unwrap_or(false) })
    })
}

/// Moves schedules on.
pub fn move_on(moved: &[Progress]) -> Result<(), Error> {
    if moved.is_empty() {
        return Ok(());
    }
    Spi::connect_mut(|client| {
        let args = [
            column(moved, |one| one.schedule).into(),
            column(moved, |one| one.next_run_at.map(of_moment)).into(),
            column(moved, |one| one.due_at.map(of_moment)).into(),
            column(moved, |one| of_moment(one.passed)).into(),
            column(moved, |one| one.last_state).into(),
        ];
        MOVE_ON.with(|statement| statement.write(client, &args))?;
        Ok(())
    })
}

/// Takes schedules out of service, with a note that says why.
pub fn disable(notes: &[(i64, String)]) -> Result<(), Error> {
    if notes.is_empty() {
        return Ok(());
    }
    Spi::connect_mut(|client| {
        let args = [column(notes, |(id, _)| *id).into(), column(notes, |(_, note)| note.as_str()).into()];
        DISABLE.with(|statement| statement.write(client, &args))?;
        Ok(())
    })
}

/// A row's values; `None` where one is missing or beyond all bounds.
fn read(row: &SpiHeapTupleData<'_>) -> Result<Option<Due>, Error> {
    let kind: Option<String> = row.get(4)?;
    let (method, url): (Option<String>, Option<String>) = (row.get(5)?, row.get(6)?);
    let work = match (kind.as_deref(), method, url) {
        (Some("s"), ..) => Work::Command,
        (Some("f" | "h"), Some(method), Some(url)) => Work::Call(Call {
            method,
            url,
            endpoint: row.get(7)?,
            headers: row.get(8)?,
            body: row.get(9)?,
            max_attempts: row.get(10)?,
            timeout_ms: row.get(11)?,
        }),
        _ => return Ok(None),
    };
    let template = Template {
        schedule: row.get(1)?.ok_or(Error::Malformed)?,
        owner: row.get(2)?.ok_or(Error::Malformed)?,
        name: row.get(3)?.ok_or(Error::Malformed)?,
        work,
    };
    let (Some(window), Some(slot)) = (micros(row.get(17)?), moment(row.get(22)?)) else { return Ok(None) };
    let rights = match (row.get::<pg_sys::Oid>(24)?, row.get::<bool>(25)?) {
        (None, _) => Rights::NoRole,
        (Some(_), Some(true)) => Rights::Usual,
        (Some(_), _) => Rights::None,
    };
    Ok(Some(Due {
        template,
        schedule: row.get(12)?.ok_or(Error::Malformed)?,
        timezone: row.get(13)?.ok_or(Error::Malformed)?,
        dst: row.get(14)?.ok_or(Error::Malformed)?,
        overlap: row.get(15)?.ok_or(Error::Malformed)?,
        catch_up: row.get(16)?.ok_or(Error::Malformed)?,
        window,
        jitter: micros(row.get(18)?).filter(|most| !most.is_zero()),
        starts_at: moment(row.get(19)?),
        ends_at: moment(row.get(20)?),
        passed: moment(row.get(21)?).ok_or(Error::Malformed)?,
        slot,
        due_at: moment(row.get(23)?).ok_or(Error::Malformed)?,
        rights,
        endpoint_is_gone: row.get(26)?.unwrap_or(false),
    }))
}

fn moment(at: Option<TimestampWithTimeZone>) -> Option<Moment> {
    at.map(to_moment)
}

/// How long an interval is, by the same measure as where it is checked: a month has 30 days, a day 24 hours.
fn micros(of: Option<Interval>) -> Option<Duration> {
    u64::try_from(of?.as_micros()).ok().map(Duration::from_micros)
}
