//! The runs of schedules that are SQL, as the dispatcher and their own processes see them.

use std::time::SystemTime;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use crate::domain::schedule::command::Tries;
use crate::error::Error;
use crate::store::schedules::runs::Slot;
use crate::store::statement::statements;
use crate::store::time::{from_timestamp, to_timestamp};

/// A command that has begun.
#[derive(Clone, Debug)]
pub struct Begun {
    pub name: String,
    /// In the encoding of the database.
    pub text: Vec<u8>,
    pub timeout_ms: Option<i32>,
    pub tries: Tries,
}

/// A run that there may be something to do about: it is being run, or is to end, or to be tried again.
#[derive(Clone, Debug)]
pub struct Open {
    pub slot: Slot,
    pub run: i64,
    pub stage: Stage,
    /// What its schedule makes now.
    pub makes: Makes,
    pub cancel_asked: bool,
    pub retry_at: Option<SystemTime>,
    pub timeout_ms: Option<i32>,
    pub tries: Tries,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Waiting,
    Running,
}

/// What a schedule makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Makes {
    Commands,
    Calls,
}

statements! {
    BEGIN(INT8OID, TIMESTAMPTZOID, OIDOID) = "
        update edge_store.schedule_run as run
        set state = 'running', pid = pg_catalog.pg_backend_pid(), retry_at = null,
            started_at = coalesce(run.started_at, pg_catalog.clock_timestamp()), attempts = coalesce(run.attempts, 0) + 1
        from edge_store.schedule
        where run.schedule_id = $1 and run.scheduled_for = $2 and run.state = 'waiting' and run.call_id is null
          and not run.cancel_asked
          and schedule.id = run.schedule_id and schedule.owner = $3 and schedule.kind = 's'
          and pg_catalog.has_function_privilege($3, 'edge.run_now(text)'::pg_catalog.regprocedure, 'execute')
        returning schedule.name,
                  pg_catalog.convert_to(schedule.command, pg_catalog.getdatabaseencoding()),
                  schedule.timeout_ms, run.attempts, schedule.max_attempts";

    // A schedule that is dropped has its runs end in the same transaction; one that there is wants a later run instead.
    CANCEL_ASKED(INT8OID, TIMESTAMPTZOID) = "
        select cancel_asked, exists (select from edge_store.schedule where id = $1)
        from edge_store.schedule_run where schedule_id = $1 and scheduled_for = $2";

    // Whoever changes a schedule's runs locks the schedule first.
    RESERVE(INT8OID) = "select from edge_store.schedule where id = $1 for no key update skip locked";

    EXISTS(INT8OID) = "select from edge_store.schedule where id = $1";

    TRY_AGAIN(INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID) = "
        update edge_store.schedule_run set state = 'waiting', pid = null, retry_at = $3, sqlstate = $4, error = $5
        where schedule_id = $1 and scheduled_for = $2 and finished_at is null";

    OPEN() = "
        select run.schedule_id, run.scheduled_for, run.run_id, run.state = 'running', run.cancel_asked, run.retry_at,
               schedule.timeout_ms, run.attempts, schedule.max_attempts, coalesce(schedule.kind <> 's', false)
        from edge_store.schedule_run as run left join edge_store.schedule on schedule.id = run.schedule_id
        where run.finished_at is null and run.call_id is null
          and (run.state = 'running' or run.cancel_asked or run.retry_at is not null)";
}

/// Begins a run, if it is still to be begun, as a command of this role's.
pub fn begin(slot: Slot, role: pg_sys::Oid) -> Result<Option<Begun>, Error> {
    Spi::connect_mut(|client| {
        let args = [slot.schedule.into(), slot.scheduled_for.into(), role.into()];
        let rows = BEGIN.with(|statement| statement.write(client, &args))?;
        if rows.is_empty() {
            return Ok(None);
        }
        let row = rows.first();
        Ok(Some(Begun {
            name: row.get(1)?.ok_or(Error::Malformed)?,
            text: row.get(2)?.unwrap_or_default(),
            timeout_ms: row.get(3)?,
            tries: tries(row.get(4)?, row.get(5)?),
        }))
    })
}

/// Locks a schedule, if there is one, until the transaction ends; `false` where somebody else has it locked.
pub fn reserve(schedule: i64) -> Result<bool, Error> {
    Spi::connect_mut(|client| {
        if !RESERVE.with(|statement| statement.write(client, &[schedule.into()]))?.is_empty() {
            return Ok(true);
        }
        Ok(EXISTS.with(|statement| statement.read(client, &[schedule.into()]))?.is_empty())
    })
}

/// Why somebody wants a run to end, if so.
pub fn cancel_asked(slot: Slot) -> Result<Option<&'static str>, Error> {
    Spi::connect(|client| {
        let args = [slot.schedule.into(), slot.scheduled_for.into()];
        let mut rows = CANCEL_ASKED.with(|statement| statement.read(client, &args))?;
        let Some(row) = rows.next() else { return Ok(None) };
        let why = match row.get::<bool>(2)? {
            Some(true) => "with overlap 'cancel' a later run took its place",
            _ => "the schedule was dropped, and its runs with it",
        };
        Ok(row.get::<bool>(1)?.unwrap_or(false).then_some(why))
    })
}

/// Has a run whose command failed tried again.
pub fn try_again(slot: Slot, at: SystemTime, sqlstate: Option<&str>, error: &str) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        let args =
            [slot.schedule.into(), slot.scheduled_for.into(), to_timestamp(at).into(), sqlstate.into(), error.into()];
        TRY_AGAIN.with(|statement| statement.write(client, &args))?;
        Ok(())
    })
}

/// The runs of commands that there may be something to do about, except to begin them.
pub fn open() -> Result<Vec<Open>, Error> {
    Spi::connect(|client| {
        let rows = OPEN.with(|statement| statement.read(client, &[]))?;
        rows.map(|row| {
            let stage = if row.get::<bool>(4)?.unwrap_or(false) { Stage::Running } else { Stage::Waiting };
            let makes = if row.get::<bool>(10)?.unwrap_or(false) { Makes::Calls } else { Makes::Commands };
            Ok(Open {
                slot: Slot {
                    schedule: row.get(1)?.ok_or(Error::Malformed)?,
                    scheduled_for: row.get(2)?.ok_or(Error::Malformed)?,
                },
                run: row.get(3)?.ok_or(Error::Malformed)?,
                stage,
                makes,
                cancel_asked: row.get(5)?.unwrap_or(false),
                retry_at: row.get::<TimestampWithTimeZone>(6)?.map(from_timestamp),
                timeout_ms: row.get(7)?,
                tries: tries(row.get(8)?, row.get(9)?),
            })
        })
        .collect()
    })
}

fn tries(made: Option<i16>, most: Option<i16>) -> Tries {
    // A command may have half of its work behind it when it fails, so it is tried once unless its schedule says otherwise.
    Tries { made: count(made), most: count(most).max(1) }
}

pub(super) fn count(value: Option<i16>) -> u32 {
    u32::from(value.unwrap_or(0).unsigned_abs())
}
