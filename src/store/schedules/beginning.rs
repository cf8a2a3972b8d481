//! Schedules as a new dispatcher finds them: which the start of the server makes due, and how far the clock had come.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use crate::domain::moment::Moment;
use crate::error::Error;
use crate::store::statement::statements;
use crate::store::time::{of_moment, to_moment};

/// When and how the server began.
#[derive(Clone, Copy, Debug)]
pub struct ServerStart {
    pub started_at: Moment,
    /// It was a standby when a dispatcher last looked, or rather its primary was the server then.
    pub was_promoted: bool,
}

/// A schedule whose last slot decides.
#[derive(Clone, Debug)]
pub struct Far {
    pub schedule_id: i64,
    pub schedule: String,
    pub passed: Moment,
}

statements! {
    // A promotion begins another timeline, whose number the names of WAL files begin with.
    NOTE_START() = "
        with now as (
            select ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::int
                   as timeline
        ),
        noted as (
            update edge_store.control set timeline = now.timeline from now
            where control.timeline is distinct from now.timeline
        )
        select pg_catalog.pg_postmaster_start_time(), control.timeline <> now.timeline from edge_store.control, now";

    REBOOTS() = "
        select id, schedule, passed from edge_store.schedule
        where active and due_at is null and schedule like '%@re%'";

    // A row that somebody has locked is left for later, here and below.
    SET_DUE(INT8ARRAYOID, TIMESTAMPTZOID) = "
        update edge_store.schedule set next_run_at = $2, due_at = $2
        where id in (select id from edge_store.schedule where id = any ($1) and active and due_at is null
                     for no key update skip locked)
        returning id";

    PLAN_ANEW(TIMESTAMPTZOID, TIMESTAMPTZOID) = "
        update edge_store.schedule set passed = $1, next_run_at = $1, due_at = $1
        where id in (select id from edge_store.schedule where due_at is not null and passed > $2
                     for no key update skip locked)
        returning id";

    PASSED_BEYOND(TIMESTAMPTZOID) = "
        select id, schedule, passed from edge_store.schedule where due_at is not null and passed > $1";
}

/// When the server began. Notes its timeline, so that a promotion is seen once.
pub fn server_start() -> Result<ServerStart, Error> {
    Spi::connect_mut(|client| {
        let row = NOTE_START.with(|statement| statement.write(client, &[]))?.first();
        let started_at = row.get::<TimestampWithTimeZone>(1)?.map(to_moment).ok_or(Error::Malformed)?;
        Ok(ServerStart { started_at, was_promoted: row.get(2)?.unwrap_or(false) })
    })
}

/// Schedules that may be such as run when the server has started.
pub fn reboots() -> Result<Vec<Far>, Error> {
    Spi::connect_mut(|client| REBOOTS.with(|statement| statement.write(client, &[]))?.map(far).collect())
}

/// Makes schedules due, and gives how many.
pub fn set_due(schedules: Vec<i64>, slot: Moment) -> Result<usize, Error> {
    if schedules.is_empty() {
        return Ok(0);
    }
    Spi::connect_mut(|client| {
        let args = [schedules.into(), of_moment(slot).into()];
        Ok(SET_DUE.with(|statement| statement.write(client, &args))?.len())
    })
}

/// Has schedules planned anew from `now` on that have passed a slot later than `bound`, and gives how many.
pub fn plan_anew(now: Moment, bound: Moment) -> Result<usize, Error> {
    Spi::connect_mut(|client| {
        let args = [of_moment(now).into(), of_moment(bound).into()];
        Ok(PLAN_ANEW.with(|statement| statement.write(client, &args))?.len())
    })
}

/// Schedules that have passed a slot later than this.
pub fn passed_beyond(moment: Moment) -> Result<Vec<Far>, Error> {
    Spi::connect_mut(|client| {
        PASSED_BEYOND.with(|statement| statement.write(client, &[of_moment(moment).into()]))?.map(far).collect()
    })
}

fn far(row: spi::SpiHeapTupleData<'_>) -> Result<Far, Error> {
    Ok(Far {
        schedule_id: row.get(1)?.ok_or(Error::Malformed)?,
        schedule: row.get(2)?.ok_or(Error::Malformed)?,
        passed: row.get::<TimestampWithTimeZone>(3)?.map(to_moment).ok_or(Error::Malformed)?,
    })
}
