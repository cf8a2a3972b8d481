//! The slots of a schedule between its beginning and its end, each at the moment to which it is spread.

use std::time::Duration;

use super::catch_up::Slots;
use super::jitter::jitter;
use super::zone::Zone;
use super::{Dst, Schedule, Timing};
use crate::domain::moment::Moment;

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

/// All that says when a schedule is due.
#[derive(Clone, Copy)]
pub struct Course<'a> {
    timing: Timing<'a>,
    bounds: Bounds,
    spread: Option<Spread>,
}

impl<'a> Course<'a> {
    /// The course of a schedule. An interval is counted from the beginning of the schedule if it has one, and else from 1970.
    pub fn new(schedule: &'a Schedule, zone: &'a dyn Zone, dst: Dst, bounds: Bounds, spread: Option<Spread>) -> Self {
        let anchor = bounds.starts_at.unwrap_or(Moment::from_micros(0));
        Self { timing: Timing { schedule, zone, dst, anchor }, bounds, spread }
    }

    /// The first slot after a moment, and when it is due.
    pub fn next(&self, after: Moment) -> Option<Next> {
        self.next_after(after).map(|slot| Next::of(self, slot))
    }
}

impl Next {
    /// A slot with the moment when it is due.
    pub(super) fn of(slots: &dyn Slots, slot: Moment) -> Self {
        Self { slot, due: slots.due_at(slot) }
    }
}

impl Slots for Course<'_> {
    fn next_after(&self, after: Moment) -> Option<Moment> {
        let just_before = |at: Moment| at.saturating_sub(Duration::from_micros(1));
        let after = self.bounds.starts_at.map_or(after, |starts_at| after.max(just_before(starts_at)));
        self.timing.next_after(after).filter(|slot| self.bounds.ends_at.is_none_or(|ends_at| *slot <= ends_at))
    }

    /// Two schedules of the same time are spread apart, each to the same place every time it is asked.
    fn due_at(&self, slot: Moment) -> Moment {
        let Some(spread) = self.spread else { return slot };
        let room = self.timing.next_after(slot).map_or(spread.most, |following| {
            Duration::from_micros(following.micros().saturating_sub(slot.micros()).unsigned_abs())
        });
        slot.saturating_add(jitter(spread.seed, slot, spread.most, room))
    }

    fn count(&self, after: Moment, until: Moment) -> Option<u64> {
        let Schedule::Every(grid) = self.timing.schedule else { return None };
        let first = self.next_after(after)?;
        let last = self.bounds.ends_at.map_or(until, |end| end.min(until));
        if last < first {
            return Some(0);
        }
        let step = u64::from(grid.seconds()) * 1_000_000;
        Some((last.micros() - first.micros()).unsigned_abs() / step + 1)
    }
}
