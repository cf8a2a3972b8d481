//! The runs of schedules: what became of each slot, one row each.
//!
//! A run is made in the transaction that locks its schedule's row, together with the call that it makes; the table's key
//! sees to it that each slot is run once.

use std::collections::HashSet;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use crate::domain::schedule::decision::Beginning;
use crate::error::Error;
use crate::store::datum::Jsonb;
use crate::store::queue::{self, NewCall};
pub use crate::store::schedules::run::{Call, End, Made, NewRun, Slot, Template, Work};
use crate::store::statement::{column, statements};
use crate::store::table;
use crate::store::time::to_moment;

statements! {
    INSERT(INT8ARRAYOID, TIMESTAMPTZARRAYOID, INT8ARRAYOID, OIDARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
           INT8ARRAYOID, TEXTARRAYOID, INT8ARRAYOID) = "
        insert into edge_store.schedule_run as known
            (schedule_id, scheduled_for, run_id, owner, name, origin, state, call_id, error, slots, started_at, finished_at)
        select new.schedule_id, new.scheduled_for, new.run_id, new.owner, new.name, new.origin::\"char\", new.state,
               new.call_id, new.error, new.slots,
               case when new.state = 'running' then pg_catalog.clock_timestamp() end,
               case when new.state = any ('{failed,skipped}') then pg_catalog.clock_timestamp() end
        from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             as new (schedule_id, scheduled_for, run_id, owner, name, origin, state, call_id, error, slots)
        on conflict (schedule_id, scheduled_for) do update
            set run_id = excluded.run_id, owner = excluded.owner, name = excluded.name, origin = excluded.origin,
                state = excluded.state, call_id = excluded.call_id, error = excluded.error, slots = excluded.slots,
                started_at = excluded.started_at, finished_at = excluded.finished_at
            where known.state = 'skipped' and excluded.origin = 'b'
        returning run_id";

    BEGIN(INT8ARRAYOID, TIMESTAMPTZARRAYOID, INT8ARRAYOID) = "
        update edge_store.schedule_run
        set state = 'running', call_id = begun.call_id, started_at = pg_catalog.clock_timestamp()
        from unnest($1, $2, $3) as begun (schedule_id, scheduled_for, call_id)
        where schedule_run.schedule_id = begun.schedule_id and schedule_run.scheduled_for = begun.scheduled_for
          and schedule_run.state = 'waiting'
        returning schedule_run.call_id";

    // The one place where a run ends, so that its schedule always shows the last end. The schedule's row is locked first, as
    // whoever makes runs does.
    FINISH(INT8OID, TIMESTAMPTZOID, TEXTOID, INT8OID, TEXTOID, TEXTOID) = "
        with its as materialized (select id from edge_store.schedule where id = $1 for no key update),
        ended as (
            update edge_store.schedule_run
            set state = $3, finished_at = pg_catalog.clock_timestamp(), rows = $4, sqlstate = $5, error = $6, pid = null
            where schedule_id = $1 and scheduled_for = $2 and finished_at is null
              and (select count(*) from its) >= 0
            returning schedule_id, started_at
        ),
        told as (
            update edge_store.schedule
            set last_state = $3, last_run_at = greatest(schedule.last_run_at, ended.started_at)
            from ended where id = ended.schedule_id
        )
        select from ended";
}

/// Writes runs, and queues the calls of those that begin at once. `None` for a slot that has a row already.
///
/// To be called by whoever has the rows of the schedules locked. It is the caller who asks whether a role may queue one
/// more call, notes that it has, and wakes the dispatcher.
pub fn materialise(database_id: &str, runs: &[NewRun<'_>]) -> Result<Vec<Option<Made>>, Error> {
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let mut made = Vec::with_capacity(runs.len());
    for run in runs {
        let queues = matches!((&run.beginning, &run.template.work), (Beginning::AtOnce, Work::Call(_)));
        // Before the run's own id, because it takes the transaction's id first.
        let call_id = queues.then(queue::next_id).transpose()?;
        made.push(Made { run_id: table::next_value(c"run_id")?, call_id });
    }
    let inserted = insert(runs, &made)?;
    let made: Vec<Option<Made>> =
        made.into_iter().map(|made| inserted.contains(&made.run_id).then_some(made)).collect();
    let calls =
        runs.iter().zip(&made).filter_map(|(run, made)| Some((run.template, run.scheduled_for, (*made)?.call_id?)));
    queue_calls(database_id, calls)?;
    Ok(made)
}

/// Has runs begin that are waiting, all of them such that make calls: queues their calls, and gives their ids. `None` for one
/// that waits no longer: it is a command of before, whose process has just begun it.
pub fn begin(database_id: &str, runs: &[(&Template, TimestampWithTimeZone)]) -> Result<Vec<Option<i64>>, Error> {
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let ids = runs.iter().map(|_| queue::next_id()).collect::<Result<Vec<i64>, Error>>()?;
    let begun: HashSet<i64> = Spi::connect_mut(|client| {
        let args = [
            runs.iter().map(|(template, _)| template.schedule).collect::<Vec<_>>().into(),
            runs.iter().map(|(_, slot)| *slot).collect::<Vec<_>>().into(),
            ids.clone().into(),
        ];
        let rows = BEGIN.with(|statement| statement.write(client, &args))?;
        rows.map(|row| row.get::<i64>(1)?.ok_or(Error::Malformed)).collect::<Result<_, Error>>()
    })?;
    let ids: Vec<Option<i64>> = ids.into_iter().map(|id| begun.contains(&id).then_some(id)).collect();
    queue_calls(
        database_id,
        runs.iter().zip(&ids).filter_map(|((template, slot), id)| Some((*template, *slot, (*id)?))),
    )?;
    Ok(ids)
}

/// Writes the end of a run; `false` where it had one already.
pub fn finish(slot: Slot, end: &End) -> Result<bool, Error> {
    Spi::connect_mut(|client| {
        let args = [
            slot.schedule.into(),
            slot.scheduled_for.into(),
            end.state.into(),
            end.rows.into(),
            end.sqlstate.as_deref().into(),
            end.error.as_deref().into(),
        ];
        Ok(!FINISH.with(|statement| statement.write(client, &args))?.is_empty())
    })
}

/// Writes the rows, and gives the ids of those that were not there.
fn insert(runs: &[NewRun<'_>], made: &[Made]) -> Result<HashSet<i64>, Error> {
    Spi::connect_mut(|client| {
        let args = [
            column(runs, |run| run.template.schedule).into(),
            column(runs, |run| run.scheduled_for).into(),
            made.iter().map(|made| made.run_id).collect::<Vec<_>>().into(),
            column(runs, |run| run.template.owner).into(),
            column(runs, |run| run.template.name.as_str()).into(),
            column(runs, |run| run.origin.code()).into(),
            column(runs, NewRun::state).into(),
            made.iter().map(|made| made.call_id).collect::<Vec<_>>().into(),
            column(runs, NewRun::reason).into(),
            column(runs, NewRun::slots).into(),
        ];
        let rows = INSERT.with(|statement| statement.write(client, &args))?;
        rows.map(|row| row.get::<i64>(1)?.ok_or(Error::Malformed)).collect()
    })
}

/// Queues the calls of runs under ids that were handed out in this transaction.
fn queue_calls<'a>(
    database_id: &str,
    runs: impl Iterator<Item = (&'a Template, TimestampWithTimeZone, i64)>,
) -> Result<(), Error> {
    let mut calls = Vec::new();
    for (template, slot, id) in runs {
        let Work::Call(call) = &template.work else { continue };
        // A peer knows the slot by its key, should a fail-over to a standby that lagged have lost its run.
        let key = format!("{database_id}-s{}-{}", template.schedule, to_moment(slot).micros());
        let metadata = serde_json::json!({"schedule": template.name, "scheduled_for": to_moment(slot).to_string()});
        calls.push((id, template.owner, call, key, Jsonb::parse(&metadata.to_string())));
    }
    if calls.is_empty() {
        return Ok(());
    }
    queue::insert_all(calls.iter().map(|(id, owner, call, key, metadata)| {
        let new = NewCall {
            owner: *owner,
            method: &call.method,
            url: &call.url,
            endpoint: call.endpoint.as_deref(),
            headers: call.headers.as_deref(),
            body: call.body.as_deref(),
            timeout_ms: call.timeout_ms,
            max_attempts: call.max_attempts,
            run_at: None,
            on_complete: None,
            idempotency_key: Some(key),
            metadata: *metadata,
            stream: None,
            terms: None,
            round: None,
        };
        (*id, new)
    }))
}
