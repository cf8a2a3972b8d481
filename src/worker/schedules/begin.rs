//! Where schedules stand when a dispatcher begins, or when the clock was set back for good.
//!
//! Runs on the main thread of a dispatcher, in a transaction of its own. What somebody has locked is left for later: it keeps
//! no other schedule waiting.

use crate::domain::moment::Moment;
use crate::domain::schedule::steady_clock::MOST_AHEAD;
use crate::domain::schedule::{Kind, Schedule};
use crate::error::Error;
use crate::store::schedules::beginning::{self, Far};
use crate::worker::schedules::{Clocks, Stage};

/// Where schedules stand.
pub(in crate::worker) struct Begun {
    /// What the steady clock is to show.
    pub steady: Moment,
    /// What could not be done yet.
    pub rest: Option<Rest>,
}

/// What a beginning has left, because somebody had it locked.
#[derive(Clone, Copy, Debug)]
pub(in crate::worker) struct Rest {
    /// The slot of what is to run once the server has started.
    start: Option<Moment>,
}

/// How far that has come.
pub(in crate::worker) struct Finished {
    /// How many schedules have become due.
    pub due_now: usize,
    /// What is left still.
    pub rest: Option<Rest>,
}

/// Finds out where schedules stand. When a dispatcher begins, what is to run once the server has started is due.
pub(in crate::worker) fn begin(stage: Stage, clocks: Clocks) -> Result<Begun, Error> {
    let start = if stage == Stage::Beginning { Some(slot_of_start(clocks.wall)?) } else { None };
    let rest = finish(Rest { start }, clocks)?.rest;
    // The clock may have been set back by less while no dispatcher ran. Slots that have been run show how far it had come.
    let far = beginning::passed_beyond(clocks.wall)?;
    let reached = far.iter().filter(|row| row.passed <= bound(clocks) && follows_real_time(row));
    let reached = reached.map(|row| row.passed).max();
    Ok(Begun { steady: reached.map_or(clocks.wall, |reached| reached.max(clocks.wall)), rest })
}

/// Does what is left of a beginning.
pub(in crate::worker) fn finish(rest: Rest, clocks: Clocks) -> Result<Finished, Error> {
    let (mut left, mut due_now) = (false, 0);
    if let Some(slot) = rest.start {
        let reboots = beginning::reboots()?.into_iter().filter(|row| row.passed < slot && is_reboot(&row.schedule));
        let due: Vec<i64> = reboots.map(|row| row.schedule_id).collect();
        let wanted = due.len();
        due_now += beginning::set_due(due, slot)?;
        left |= due_now < wanted;
    }
    // What was planned while the clock was badly wrong is planned anew.
    due_now += beginning::plan_anew(clocks.wall, bound(clocks))?;
    left |= !beginning::passed_beyond(bound(clocks))?.is_empty();
    Ok(Finished { due_now, rest: left.then_some(rest) })
}

/// A slot later than this was passed while the clock was badly wrong.
fn bound(clocks: Clocks) -> Moment {
    clocks.wall.saturating_add(MOST_AHEAD)
}

/// The slot of a server that has started since the last dispatcher looked is the time of its start. That of a standby which was
/// promoted is the present one: it may have been running for long.
fn slot_of_start(now: Moment) -> Result<Moment, Error> {
    let start = beginning::server_start()?;
    Ok(if start.was_promoted { now } else { start.started_at })
}

fn is_reboot(schedule: &str) -> bool {
    Schedule::parse(schedule).is_ok_and(|schedule| schedule.kind() == Kind::Reboot)
}

fn follows_real_time(row: &Far) -> bool {
    Schedule::parse(&row.schedule).is_ok_and(|schedule| schedule.follows_real_time())
}
