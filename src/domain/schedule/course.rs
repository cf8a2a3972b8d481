//! The slots of a schedule between its beginning and its end.

use std::time::Duration;

use super::catch_up::Slots;
use super::{Schedule, Timing};
use crate::domain::moment::Moment;

/// When a schedule is due, and between which moments.
#[derive(Clone, Copy)]
pub struct Course<'a> {
    /// When it would be due for ever.
    pub timing: Timing<'a>,
    /// The first moment at which it may be.
    pub starts_at: Option<Moment>,
    /// The last one.
    pub ends_at: Option<Moment>,
}

impl Slots for Course<'_> {
    fn next_after(&self, after: Moment) -> Option<Moment> {
        // A slot may lie on the very moment at which the schedule starts.
        let before_start = self.starts_at.map(|start| start.saturating_sub(Duration::from_micros(1)));
        let slot = self.timing.next_after(before_start.map_or(after, |start| start.max(after)))?;
        self.ends_at.is_none_or(|end| slot <= end).then_some(slot)
    }

    fn count(&self, after: Moment, until: Moment) -> Option<u64> {
        let Schedule::Every(grid) = self.timing.schedule else { return None };
        let first = self.next_after(after)?;
        let last = self.ends_at.map_or(until, |end| end.min(until));
        if last < first {
            return Some(0);
        }
        let step = u64::from(grid.seconds()) * 1_000_000;
        Some((last.micros() - first.micros()).unsigned_abs() / step + 1)
    }
}
