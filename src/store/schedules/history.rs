//! Forgetting the runs of schedules that have been kept long enough.

use std::time::SystemTime;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use crate::error::Error;
use crate::store::statement::statements;
use crate::store::time::to_timestamp;

/// How far the runs have been gone through: the end of the last one that was looked at.
#[derive(Clone, Copy, Debug)]
pub struct Position(TimestampWithTimeZone);

statements! {
    // The last run of a schedule that there is stays. It is passed over, so that many of them are not looked at each time.
    FORGET(TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID) = "
        with old as materialized (
            select run.schedule_id, run.scheduled_for, run.finished_at,
                   exists (select from edge_store.schedule_run as later
                           where later.schedule_id = run.schedule_id and later.scheduled_for > run.scheduled_for)
                   or not exists (select from edge_store.schedule where id = run.schedule_id) as may_go
            from edge_store.schedule_run as run
            where run.finished_at is not null and run.finished_at < $1 and run.finished_at > $2
            order by run.finished_at limit $3
        ),
        -- One that a session has in hand is passed over.
        free as materialized (
            select run.schedule_id, run.scheduled_for
            from edge_store.schedule_run as run join old using (schedule_id, scheduled_for)
            where old.may_go
            for update of run skip locked
        ),
        gone as (
            delete from edge_store.schedule_run as run using free
            where run.schedule_id = free.schedule_id and run.scheduled_for = free.scheduled_for
        )
        select count(*), max(finished_at) from old";
}

/// Forgets runs that ended before `horizon`, going through `most` of them from a position on. Gives the next position, unless
/// all have been gone through.
pub fn forget(horizon: SystemTime, from: Option<Position>, most: usize) -> Result<Option<Position>, Error> {
    Spi::connect_mut(|client| {
        let from = from.map_or_else(TimestampWithTimeZone::negative_infinity, |position| position.0);
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        let args = [to_timestamp(horizon).into(), from.into(), limit.into()];
        let row = FORGET.with(|statement| statement.write(client, &args))?.first();
        let all = row.get::<i64>(1)?.is_none_or(|count| count < limit);
        Ok(row.get(2)?.filter(|_| !all).map(Position))
    })
}
