//! Where schedules stand when a dispatcher begins, or when the clock was set back for good.
//!
//! Runs on the main thread of a dispatcher, in a transaction of its own.

use crate::domain::moment::Moment;
use crate::domain::schedule::steady_clock::MOST_AHEAD;
use crate::domain::schedule::{Kind, Schedule};
use crate::error::Error;
use crate::store::schedules::beginning::{self, Far};
use crate::worker::schedules::{Clocks, Stage};

/// Finds out what the steady clock is to show. When a dispatcher begins, what is to run once the server has started is due.
pub(in crate::worker) fn begin(stage: Stage, clocks: Clocks) -> Result<Moment, Error> {
    if stage == Stage::Beginning {
        note_start(clocks.wall)?;
    }
    // What was planned while the clock was badly wrong is planned anew.
    beginning::plan_anew(clocks.wall, clocks.wall.saturating_add(MOST_AHEAD))?;
    // The clock may have been set back by less while no dispatcher ran. Slots that have been run show how far it had come.
    let far = beginning::passed_beyond(clocks.wall)?;
    let reached = far.iter().filter(|row| follows_real_time(row)).map(|row| row.passed).max();
    Ok(reached.map_or(clocks.wall, |reached| reached.max(clocks.wall)))
}

/// A server that has started since the last dispatcher looked makes `@reboot` due, by the time of its start. So does a standby
/// that was promoted: it may have been running for long, so the time is the present one.
fn note_start(now: Moment) -> Result<(), Error> {
    let start = beginning::server_start()?;
    let slot = if start.was_promoted { now } else { start.started_at };
    let reboots = beginning::reboots()?;
    let due = reboots.into_iter().filter(|row| row.passed < slot && is_reboot(&row.schedule));
    beginning::set_due(due.map(|row| row.schedule_id).collect(), slot)
}

fn is_reboot(schedule: &str) -> bool {
    Schedule::parse(schedule).is_ok_and(|schedule| schedule.kind() == Kind::Reboot)
}

fn follows_real_time(row: &Far) -> bool {
    Schedule::parse(&row.schedule).is_ok_and(|schedule| schedule.follows_real_time())
}
