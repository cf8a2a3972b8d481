//! The slots of a schedule between its beginning and its end, each at the moment to which it is spread.

use super::catch_up::Slots;
use super::{Schedule, Timing};
use crate::domain::moment::Moment;
use crate::domain::schedule::planning::{self, Bounds, Spread};

/// All that says when a schedule is due.
#[derive(Clone, Copy)]
pub struct Course<'a> {
    /// When it would be due for ever.
    pub timing: Timing<'a>,
    /// Between which moments it is.
    pub bounds: Bounds,
    /// By how much its slots are put off.
    pub spread: Option<Spread>,
}

impl Slots for Course<'_> {
    fn next_after(&self, after: Moment) -> Option<Moment> {
        planning::next_slot(&self.timing, self.bounds, after)
    }

    fn due_at(&self, slot: Moment) -> Moment {
        planning::due(&self.timing, self.spread, slot)
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
