//! Runs of schedules that have not ended, as the dispatcher sees them: those whose calls have ended meanwhile, those that wait
//! for others, and those that stand in a new one's way.

use std::collections::HashSet;

use pgrx::prelude::*;
use pgrx::spi::SpiHeapTupleData;

use crate::domain::call::Final;
use crate::error::Error;
use crate::store::schedules::commands::Stage;
use crate::store::schedules::due::Rights;
use crate::store::schedules::runs::{Call, Slot, Template, Work};
use crate::store::statement::statements;

/// A run that has not ended.
#[derive(Clone, Copy, Debug)]
pub struct OpenRun {
    pub slot: Slot,
    /// Its call, if one is queued.
    pub call_id: Option<i64>,
    /// Without a call: whether it is a command, and has begun.
    pub stage: Stage,
}

/// A run whose call is queued.
#[derive(Clone, Debug)]
pub struct Calling {
    pub slot: Slot,
    pub call_id: i64,
    /// How the call ended, if it has.
    pub ended: Option<CallEnd>,
    /// A later run has overtaken it.
    pub overtaken: bool,
}

/// How a run's call ended.
#[derive(Clone, Debug)]
pub struct CallEnd {
    /// As `edge.status` names it.
    pub state: &'static str,
    pub error: Option<String>,
}

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
    // A schedule may have very many of them. Only where all are to be ended are all read; otherwise two tell whether one is in
    // the way, and whether another waits already.
    OPEN_OF(INT8ARRAYOID) = "
        select run.schedule_id, run.scheduled_for, run.call_id, run.state = 'running'
        from edge_store.schedule as its
        cross join lateral (
            (select * from edge_store.schedule_run as open
             where open.schedule_id = its.id and open.finished_at is null
             order by open.run_id limit case when its.overlap = 'cancel' then null else 2 end)
            union
            (select * from edge_store.schedule_run as open
             where open.schedule_id = its.id and open.finished_at is null and open.call_id is null
               and open.state = 'waiting'
             order by open.run_id limit 1)
        ) as run
        where its.id = any ($1)
        order by run.schedule_id, run.run_id";

    CALLING(INT8ARRAYOID) = "
        select run.schedule_id, run.scheduled_for, run.call_id, response.state::text, response.error,
               exists (select from edge_store.request where request.id = run.call_id), run.cancel_asked
        from edge_store.schedule_run as run left join edge_store.response on response.call_id = run.call_id
        where run.finished_at is null and run.call_id is not null and run.call_id <> all ($1)";

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

    OVERTAKE(INT8ARRAYOID) = "
        update edge_store.schedule_run set cancel_asked = true
        where call_id = any ($1) and finished_at is null and not cancel_asked";

    ASK_TO_END(INT8OID) = "
        update edge_store.schedule_run set cancel_asked = true
        where schedule_id = $1 and finished_at is null and call_id is null and not cancel_asked
        returning schedule_id";

    // The schedules' rows are locked first, as by whoever makes runs. What belongs to a row that somebody else has locked is
    // left for later.
    FINISH(INT8ARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID, TEXTARRAYOID) = "
        with its as materialized (
            select id from edge_store.schedule where id = any ($1) for no key update skip locked
        ),
        over as materialized (
            select over.schedule_id, over.scheduled_for, over.state, over.error,
                   over.schedule_id in (select id from its)
                   or not exists (select from edge_store.schedule where id = over.schedule_id) as free
            from unnest($1, $2, $3, $4) as over (schedule_id, scheduled_for, state, error)
        ),
        ended as (
            update edge_store.schedule_run as run
            set state = over.state, error = over.error, finished_at = pg_catalog.clock_timestamp()
            from over
            where over.free and run.schedule_id = over.schedule_id and run.scheduled_for = over.scheduled_for
              and run.finished_at is null
            returning run.schedule_id, run.run_id, run.state, run.started_at
        ),
        told as (
            update edge_store.schedule
            set last_state = latest.state, last_run_at = greatest(schedule.last_run_at, latest.began)
            from (select distinct on (schedule_id) schedule_id, state,
                         max(started_at) over (partition by schedule_id) as began
                  from ended order by schedule_id, run_id desc) as latest
            where id = latest.schedule_id
        )
        select schedule_id, scheduled_for from over where not free";
}

/// The runs of these schedules that have not ended, each schedule's in their order; the first ones only, unless a new run ends
/// them.
pub fn of(schedules: &[i64]) -> Result<Vec<OpenRun>, Error> {
    Spi::connect_mut(|client| {
        let rows = OPEN_OF.with(|statement| statement.write(client, &[schedules.to_vec().into()]))?;
        rows.map(|row| {
            let stage = if row.get::<bool>(4)?.unwrap_or(false) { Stage::Running } else { Stage::Waiting };
            Ok(OpenRun { slot: slot(&row)?, call_id: row.get(3)?, stage })
        })
        .collect()
    })
}

/// The runs whose calls are queued or have ended, but for those of some calls.
pub fn calling(but: Vec<i64>) -> Result<Vec<Calling>, Error> {
    Spi::connect_mut(|client| {
        let rows = CALLING.with(|statement| statement.write(client, &[but.into()]))?;
        rows.map(|row| {
            let state = row.get::<String>(4)?;
            let state = state.and_then(|code| Final::from_code(*code.as_bytes().first()?)).map(Final::name);
            let ended = match (state, row.get::<bool>(6)?) {
                (Some(state), _) => Some(CallEnd { state, error: row.get(5)? }),
                (None, Some(true)) => None,
                (None, _) => Some(CallEnd { state: "failed", error: Some("its call is no longer kept".to_owned()) }),
            };
            let overtaken = row.get(7)?.unwrap_or(false);
            Ok(Calling { slot: slot(&row)?, call_id: row.get(3)?.ok_or(Error::Malformed)?, ended, overtaken })
        })
        .collect()
    })
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
pub struct Found {
    /// Those that need not do so any longer. Their schedules are locked by us.
    pub runs: Vec<Ready>,
    /// Schedules with such a run that somebody else has locked.
    pub locked: HashSet<i64>,
}

/// The runs of these schedules that are waiting and need not do so any longer.
pub fn ready(schedules: Vec<i64>) -> Result<Found, Error> {
    let mut locked: HashSet<i64> = Spi::connect_mut(|client| {
        let rows = READY_OR_LOCKED.with(|statement| statement.write(client, &[schedules.clone().into()]))?;
        rows.map(|row| row.get::<i64>(1)?.ok_or(Error::Malformed)).collect::<Result<_, Error>>()
    })?;
    let runs = ready_and_free(schedules)?;
    for run in &runs {
        locked.remove(&run.slot.schedule);
    }
    Ok(Found { runs, locked })
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

/// Writes the ends of runs; gives those that have to be written later, because somebody has locked their schedules.
pub fn finish(ends: &[(Slot, CallEnd)]) -> Result<Vec<Slot>, Error> {
    if ends.is_empty() {
        return Ok(Vec::new());
    }
    Spi::connect_mut(|client| {
        let args = [
            ends.iter().map(|(slot, _)| slot.schedule).collect::<Vec<_>>().into(),
            ends.iter().map(|(slot, _)| slot.scheduled_for).collect::<Vec<_>>().into(),
            ends.iter().map(|(_, end)| end.state).collect::<Vec<_>>().into(),
            ends.iter().map(|(_, end)| end.error.as_deref()).collect::<Vec<_>>().into(),
        ];
        let rows = FINISH.with(|statement| statement.write(client, &args))?;
        rows.map(|row| slot(&row)).collect()
    })
}

/// Notes of runs that later ones have overtaken them, should the next dispatcher have to cancel their calls.
pub fn overtake(calls: &[i64]) -> Result<(), Error> {
    if calls.is_empty() {
        return Ok(());
    }
    Spi::connect_mut(|client| {
        OVERTAKE.with(|statement| statement.write(client, &[calls.to_vec().into()]))?;
        Ok(())
    })
}

/// Asks for the end of a schedule's commands, those that wait and the one that is being run; tells whether there are any.
pub fn ask_to_end(schedule: i64) -> Result<bool, Error> {
    Spi::connect_mut(|client| Ok(!ASK_TO_END.with(|statement| statement.write(client, &[schedule.into()]))?.is_empty()))
}

fn slot(row: &SpiHeapTupleData<'_>) -> Result<Slot, Error> {
    Ok(Slot { schedule: row.get(1)?.ok_or(Error::Malformed)?, scheduled_for: row.get(2)?.ok_or(Error::Malformed)? })
}
