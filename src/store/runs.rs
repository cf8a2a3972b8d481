//! The runs of schedules: what became of each slot, one row each.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use super::statement::statements;
use crate::error::Error;

/// The slot of a schedule, which can be run once.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    pub schedule: i64,
    pub scheduled_for: TimestampWithTimeZone,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct End {
    /// `succeeded`, `failed`, `cancelled`, `expired` or `truncated`.
    pub state: &'static str,
    /// Rows that the command returned or changed.
    pub rows: Option<i64>,
    pub sqlstate: Option<String>,
    pub error: Option<String>,
}

statements! {
    // The one place where a run ends, so that its schedule always shows the last end.
    FINISH(INT8OID, TIMESTAMPTZOID, TEXTOID, INT8OID, TEXTOID, TEXTOID) = "
        with ended as (
            update edge_store.schedule_run
            set state = $3, finished_at = pg_catalog.clock_timestamp(), rows = $4, sqlstate = $5, error = $6, pid = null
            where schedule_id = $1 and scheduled_for = $2 and finished_at is null
            returning schedule_id
        ),
        told as (
            update edge_store.schedule set last_state = $3 from ended where id = ended.schedule_id
        )
        select from ended";
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
