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

/// A run whose turn it is.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub slot: Slot,
    pub run: i64,
    pub made: u32,
    pub whose: Whose,
    pub timeout_ms: Option<i32>,
}

/// As whom a command is to be run.
#[derive(Clone, Debug)]
pub enum Whose {
    Role {
        oid: pg_sys::Oid,
        can_login: bool,
        name: String,
    },
    /// The role may no longer use the extension.
    NoRights,
    /// The role is gone.
    NoRole,
    /// The schedule is gone.
    NoSchedule,
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

    // The runs of a schedule are made one after the other, in their order, unless they may overlap. So of each schedule with
    // open runs only the first is looked at, however many there are; the schedules are found by walking the index. Roles take
    // turns, and so do the schedules of a role: a long row of runs that may overlap goes before nobody else's.
    CANDIDATES(INT8ARRAYOID, TIMESTAMPTZOID, INT8OID) = "
        with recursive its as (
            (select schedule_id as id from edge_store.schedule_run
             where finished_at is null and call_id is null order by schedule_id limit 1)
            union all
            select (select run.schedule_id from edge_store.schedule_run as run
                    where run.finished_at is null and run.call_id is null and run.schedule_id > its.id
                    order by run.schedule_id limit 1)
            from its where its.id is not null
        )
        select schedule_id, scheduled_for, run_id, attempts, is_dropped, oid, rolcanlogin, rolname, timeout_ms,
               may_use
        from (
            select *, pg_catalog.row_number() over (partition by oid order by turn, run_id) as place
            from (
                select run.schedule_id, run.scheduled_for, run.run_id, run.attempts, schedule.id is null as is_dropped,
                       role.oid, role.rolcanlogin, role.rolname::text, schedule.timeout_ms,
                       case when role.oid is not null
                            then pg_catalog.has_function_privilege(role.oid, 'edge.run_now(text)'::pg_catalog.regprocedure, 'execute') end
                            as may_use,
                       pg_catalog.row_number() over (partition by run.schedule_id order by run.run_id) as turn
                from its
                left join edge_store.schedule on schedule.id = its.id
                left join pg_catalog.pg_roles as role on role.oid = schedule.owner
                cross join lateral (
                    select *, state = 'waiting' and not cancel_asked and run_id <> all ($1) and coalesce(retry_at <= $2, true)
                              as may_begin
                    from edge_store.schedule_run as open
                    where open.schedule_id = its.id and open.finished_at is null and open.call_id is null
                      and (coalesce(schedule.overlap, '') <> 'allow'
                           or open.state = 'waiting' and not open.cancel_asked and open.run_id <> all ($1))
                    order by open.run_id limit case when schedule.overlap = 'allow' then $3 else 1 end
                ) as run
                where run.may_begin and (schedule.id is null or schedule.kind = 's')
            ) as of_each
        ) as placed
        order by place, run_id limit $3";
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

/// The runs that may begin now, those of each role in turn, without those that are in hand already.
pub fn candidates(in_hand: Vec<i64>, now: SystemTime, limit: usize) -> Result<Vec<Candidate>, Error> {
    Spi::connect(|client| {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let args = [in_hand.into(), to_timestamp(now).into(), limit.into()];
        let rows = CANDIDATES.with(|statement| statement.read(client, &args))?;
        rows.map(|row| {
            let whose = match (row.get(5)?, row.get(6)?) {
                (Some(true), _) => Whose::NoSchedule,
                (_, None) => Whose::NoRole,
                _ if row.get(10)? != Some(true) => Whose::NoRights,
                (_, Some(oid)) => {
                    Whose::Role { oid, can_login: row.get(7)?.unwrap_or(false), name: row.get(8)?.unwrap_or_default() }
                }
            };
            Ok(Candidate {
                slot: Slot {
                    schedule: row.get(1)?.ok_or(Error::Malformed)?,
                    scheduled_for: row.get(2)?.ok_or(Error::Malformed)?,
                },
                run: row.get(3)?.ok_or(Error::Malformed)?,
                made: count(row.get(4)?),
                whose,
                timeout_ms: row.get(9)?,
            })
        })
        .collect()
    })
}

fn tries(made: Option<i16>, most: Option<i16>) -> Tries {
    // A command may have half of its work behind it when it fails, so it is tried once unless its schedule says otherwise.
    Tries { made: count(made), most: count(most).max(1) }
}

fn count(value: Option<i16>) -> u32 {
    u32::from(value.unwrap_or(0).unsigned_abs())
}
