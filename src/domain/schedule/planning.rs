//! Which slot of a schedule comes next, and when it is made of it what it is.

use std::time::Duration;

use crate::domain::moment::Moment;
use crate::domain::schedule::Timing;
use crate::domain::schedule::jitter::jitter;

/// From when to when a schedule runs, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// No slot before it.
    pub starts_at: Option<Moment>,
    /// No slot after it.
    pub ends_at: Option<Moment>,
}

/// By how much the slots of a schedule are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// The most that a slot is put off.
    pub most: Duration,
    /// What tells this schedule from others: its id.
    pub seed: i64,
}

/// A slot that is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// The moment it stands for.
    pub slot: Moment,
    /// When its time has come: the same moment, or a little later.
    pub due: Moment,
}

/// Where an interval is counted from: the beginning of the schedule if it has one, and else 1970.
pub fn anchor(bounds: Bounds) -> Moment {
    bounds.starts_at.unwrap_or(Moment::from_micros(0))
}

/// The first slot after a moment that lies within the bounds.
pub fn next_slot(timing: &Timing<'_>, bounds: Bounds, after: Moment) -> Option<Moment> {
    let just_before = |at: Moment| at.saturating_sub(Duration::from_micros(1));
    let after = bounds.starts_at.map_or(after, |starts_at| after.max(just_before(starts_at)));
    timing.next_after(after).filter(|slot| bounds.ends_at.is_none_or(|ends_at| *slot <= ends_at))
}

/// The same, and when it is due.
pub fn next(timing: &Timing<'_>, bounds: Bounds, spread: Option<Spread>, after: Moment) -> Option<Next> {
    let slot = next_slot(timing, bounds, after)?;
    Some(Next { slot, due: due(timing, spread, slot) })
}

/// When a slot is due. Two schedules of the same time are spread apart, each to the same place every time it is asked.
pub fn due(timing: &Timing<'_>, spread: Option<Spread>, slot: Moment) -> Moment {
    let Some(spread) = spread else { return slot };
    let room = timing.next_after(slot).map_or(spread.most, |following| {
        Duration::from_micros(following.micros().saturating_sub(slot.micros()).unsigned_abs())
    });
    slot.saturating_add(jitter(spread.seed, slot, spread.most, room))
}

/// What is known of a schedule that decides when it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times<'a> {
    /// As it was written.
    pub schedule: &'a str,
    /// By whose clock.
    pub timezone: &'a str,
    /// By which rule for changes of the clock.
    pub dst: &'a str,
    /// Where intervals begin.
    pub starts_at: Option<Moment>,
    /// Whether it runs at all.
    pub active: bool,
}

/// From where the slots of a schedule are sought that is said anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// From where it stood: nothing moves, is repeated or lost.
    WhereItStood,
    /// From the present moment.
    Now,
}

/// A schedule that runs at the same times as before goes on where it stood. One that was paused begins anew: what it has
/// missed meanwhile was not to be run.
pub fn begins(known: Times<'_>, said: Times<'_>) -> Begin {
    let same = Times { active: said.active, ..known } == said;
    let resumed = said.active && !known.active;
    if same && !resumed { Begin::WhereItStood } else { Begin::Now }
}
