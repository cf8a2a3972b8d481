//! Calls of schedules that wait for a run of before, as the dispatcher sees them.

use std::collections::HashSet;

use pgrx::prelude::*;

use super::open_runs::slot;
use crate::error::Error;
use crate::store::schedules::due::Rights;
use crate::store::schedules::runs::{Call, Slot, Template, Work};
use crate::store::statement::statements;

// Runs that need not wait any longer, one at a time, in their order. A schedule may have run commands before: one that is still
// being run goes first, and one that was to be tried again is none of ours.
macro_rules! is_ready {
    () => {
        "
        from edge_store.schedule_run as run join edge_store.schedule on schedule.id = run.schedule_id
        where run.schedule_id = any ($1) and run.finished_at is null and run.call_id is null
          and run.state = 'waiting' and run.retry_at is null and schedule.kind <> 's' and not run.cancel_asked
          and not exists (
                  select from edge_store.schedule_run as other
                  where other.schedule_id = run.schedule_id and other.finished_at is null
                    and (other.call_id is not null or other.state = 'running' or other.run_id < run.run_id))"
    };
}

statements! {
    WITH_WAITING() = "
        select distinct run.schedule_id
        from edge_store.schedule_run as run join edge_store.schedule on schedule.id = run.schedule_id
        where run.finished_at is null and run.call_id is null and run.state = 'waiting' and schedule.kind <> 's'";

    READY(INT8ARRAYOID) = concat!("
        select schedule.id, schedule.owner::oid, schedule.name, schedule.method, schedule.url, schedule.endpoint,
               schedule.headers, schedule.body, schedule.max_attempts, schedule.timeout_ms, run.scheduled_for,
               pg_catalog.has_function_privilege(schedule.owner::oid, 'edge.run_now(text)'::pg_catalog.regprocedure, 'execute')
", is_ready!(), "
        for no key update of schedule skip locked");

    // The same, locked or not.
    READY_OR_LOCKED(INT8ARRAYOID) = concat!("select run.schedule_id", is_ready!());

    WAITING_OF(INT8ARRAYOID) = "
        select schedule_id, scheduled_for from edge_store.schedule_run
        where schedule_id = any ($1) and finished_at is null and call_id is null and state = 'waiting'";
}

/// The schedules of which a call waits for others.
pub fn with_waiting() -> Result<Vec<i64>, Error> {
    Spi::connect_mut(|client| {
        let rows = WITH_WAITING.with(|statement| statement.write(client, &[]))?;
        rows.map(|row| row.get(1)?.ok_or(Error::Malformed)).collect()
    })
}

/// A run that has waited and need not do so any longer.
#[derive(Clone, Debug)]
pub struct Ready {
    pub template: Template,
    pub slot: Slot,
    pub rights: Rights,
}

/// What was found of runs that were waiting.
#[derive(Debug)]
pub struct Freed {
    /// Those that need not do so any longer. Their schedules are locked by us.
    pub runs: Vec<Ready>,
    /// Schedules with such a run that somebody else has locked.
    pub locked: HashSet<i64>,
}

/// The runs of these schedules that are waiting and need not do so any longer.
pub fn ready(schedules: Vec<i64>) -> Result<Freed, Error> {
    let mut locked: HashSet<i64> = Spi::connect_mut(|client| {
        let rows = READY_OR_LOCKED.with(|statement| statement.write(client, &[schedules.clone().into()]))?;
        rows.map(|row| row.get::<i64>(1)?.ok_or(Error::Malformed)).collect::<Result<_, Error>>()
    })?;
    let runs = ready_and_free(schedules)?;
    for run in &runs {
        locked.remove(&run.slot.schedule);
    }
    Ok(Freed { runs, locked })
}

/// All runs of these schedules that wait.
pub fn waiting_of(schedules: Vec<i64>) -> Result<Vec<Slot>, Error> {
    Spi::connect_mut(|client| {
        WAITING_OF.with(|statement| statement.write(client, &[schedules.into()]))?.map(|row| slot(&row)).collect()
    })
}

fn ready_and_free(schedules: Vec<i64>) -> Result<Vec<Ready>, Error> {
    Spi::connect_mut(|client| {
        let rows = READY.with(|statement| statement.write(client, &[schedules.into()]))?;
        rows.map(|row| {
            let call = Call {
                method: row.get(4)?.ok_or(Error::Malformed)?,
                url: row.get(5)?.ok_or(Error::Malformed)?,
                endpoint: row.get(6)?,
                headers: row.get(7)?,
                body: row.get(8)?,
                max_attempts: row.get(9)?,
                timeout_ms: row.get(10)?,
            };
            let template = Template {
                schedule: row.get(1)?.ok_or(Error::Malformed)?,
                owner: row.get(2)?.ok_or(Error::Malformed)?,
                name: row.get(3)?.ok_or(Error::Malformed)?,
                work: Work::Call(call),
            };
            let slot = Slot { schedule: template.schedule, scheduled_for: row.get(11)?.ok_or(Error::Malformed)? };
            let rights = if row.get(12)? == Some(true) { Rights::Usual } else { Rights::None };
            Ok(Ready { template, slot, rights })
        })
        .collect()
    })
}
