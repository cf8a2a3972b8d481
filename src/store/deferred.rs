//! Putting calls off, and taking them on again.

use std::time::SystemTime;

use pgrx::prelude::*;

use super::datum::small;
use super::statement::{column, statements};
use super::time::to_timestamp;
use crate::domain::call::CallId;
use crate::domain::tally::Kind;
use crate::error::Error;

/// A call put off.
#[derive(Clone, Debug)]
pub struct Deferral {
    pub call: CallId,
    pub slot: i16,
    pub tries: u32,
    pub interruptions: u32,
    pub until: Until,
}

impl Deferral {
    /// Whether the call was tried before.
    pub fn kind(&self) -> Kind {
        Kind::of(self.tries, self.interruptions)
    }
}

/// What a deferred call waits for.
#[derive(Clone, Debug)]
pub enum Until {
    /// A time.
    Due(SystemTime),
    /// Room at its endpoint.
    Room(String),
}

statements! {
    DEFER(INT8ARRAYOID, INT2ARRAYOID, INT2ARRAYOID, INT2ARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID) = "
        insert into edge_store.deferred (call_id, slot, tries, interruptions, due_at, parked_on)
        select * from unnest($1, $2, $3, $4, $5, $6)
        on conflict (call_id) do update
            set tries = excluded.tries, interruptions = excluded.interruptions, due_at = excluded.due_at,
                parked_on = excluded.parked_on";

    UNDEFER(INT8ARRAYOID) = "delete from edge_store.deferred where call_id = any ($1)";
}

/// Puts calls off.
pub fn defer(deferrals: &[Deferral]) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        let due = |deferral: &Deferral| match &deferral.until {
            Until::Due(at) => to_timestamp(*at),
            Until::Room(_) => TimestampWithTimeZone::negative_infinity(),
        };
        let lane = |deferral: &Deferral| match &deferral.until {
            Until::Due(_) => None,
            Until::Room(lane) => Some(lane.clone()),
        };
        let args = [
            column(deferrals, |deferral| deferral.call.0).into(),
            column(deferrals, |deferral| deferral.slot).into(),
            column(deferrals, |deferral| small(deferral.tries)).into(),
            column(deferrals, |deferral| small(deferral.interruptions)).into(),
            column(deferrals, due).into(),
            column(deferrals, lane).into(),
        ];
        DEFER.with(|statement| statement.write(client, &args))?;
        Ok(())
    })
}

/// Forgets that calls were put off: they are taken on, or have ended.
pub fn undefer(calls: Vec<i64>) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        UNDEFER.with(|statement| statement.write(client, &[calls.into()]))?;
        Ok(())
    })
}
