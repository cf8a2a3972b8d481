//! Runs of schedules that have not ended, as the dispatcher sees them: those whose calls have ended meanwhile, and those that
//! stand in a new one's way.

use pgrx::prelude::*;
use pgrx::spi::SpiHeapTupleData;

use crate::domain::call::Final;
use crate::error::Error;
use crate::store::schedules::commands::Stage;
use crate::store::schedules::runs::Slot;
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

pub(super) fn slot(row: &SpiHeapTupleData<'_>) -> Result<Slot, Error> {
    Ok(Slot { schedule: row.get(1)?.ok_or(Error::Malformed)?, scheduled_for: row.get(2)?.ok_or(Error::Malformed)? })
}
