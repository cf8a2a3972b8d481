//! When a schedule is due next: the schedule, on the clock of its zone.

use super::cron::{Cron, Pace};
use super::once::Once;
use super::zone::{Span, Zone};
use super::{Dst, Schedule};
use crate::domain::moment::Moment;

/// No clock was ever changed by more than a day.
const LONGEST_CHANGE: i64 = 26 * 3600;
/// How far ahead is looked. The rarest day, a 29 February on a given weekday, comes back after 40 years at most.
const HORIZON: i64 = 100 * 366 * 86_400;

/// A schedule with all that says when it is due.
#[derive(Clone, Copy)]
pub struct Timing<'a> {
    /// What was asked for.
    pub schedule: &'a Schedule,
    /// By whose clock.
    pub zone: &'a dyn Zone,
    /// What becomes of slots that a change of that clock skips or repeats.
    pub dst: Dst,
    /// From where an interval is counted: the beginning of the schedule, or 1970.
    pub anchor: Moment,
}

impl Timing<'_> {
    /// The first slot later than `after`; `None` if there is none within a hundred years, as ever for `@reboot`.
    pub fn next_after(&self, after: Moment) -> Option<Moment> {
        match self.schedule {
            Schedule::Cron(cron) => {
                // Slots lie on whole seconds.
                let from = after.seconds().checked_add(1)?;
                let found = match (cron.pace, self.dst) {
                    (Pace::Wild, _) | (Pace::Fixed, Dst::Literal) => self.as_the_clock_shows(cron, from),
                    (Pace::Fixed, Dst::Vixie | Dst::Skip) => self.once_each(cron, from),
                };
                found.map(Moment::from_seconds)
            }
            Schedule::Every(grid) => grid.next_after(self.anchor, after),
            Schedule::At(once) => self.moment_of(*once).filter(|slot| *slot > after),
            Schedule::Reboot => None,
        }
    }

    /// Every second in which the clock shows a time that fits.
    fn as_the_clock_shows(&self, cron: &Cron, from: i64) -> Option<i64> {
        let horizon = from.checked_add(HORIZON)?;
        let mut at = from;
        while at < horizon {
            let span = self.zone.span(at);
            let offset = i64::from(span.offset);
            let slot = cron.fits_from(at.checked_add(offset)?)? - offset;
            let ends = end_of(span, at);
            if slot < ends {
                return Some(slot);
            }
            at = ends;
        }
        None
    }

    /// Every time that fits, once: in the first pass if the clock shows it twice; if never, then when the gap is over,
    /// unless the rule is to skip it.
    fn once_each(&self, cron: &Cron, from: i64) -> Option<i64> {
        let horizon = from.checked_add(HORIZON)?;
        let mut begin = from.checked_sub(LONGEST_CHANGE)?;
        let mut span = self.zone.span(begin);
        // All that the clock showed before this is done with.
        let mut shown = i64::MIN;
        while begin < horizon {
            let offset = i64::from(span.offset);
            let first = begin.checked_add(offset)?;
            let due = if begin < from { shown.max(from.checked_add(offset)?) } else { shown };
            let due = if self.dst == Dst::Skip { due.max(first) } else { due };
            let ends = end_of(span, begin);
            if ends > from {
                let slot = (cron.fits_from(due)? - offset).max(begin);
                if slot < ends {
                    return Some(slot);
                }
            }
            shown = shown.max(ends.checked_add(offset)?);
            begin = ends;
            span = self.zone.span(begin);
        }
        None
    }

    /// When the clock shows this first, or passes it by in a gap; by the rules that leave out what a gap skips, then never.
    fn moment_of(&self, once: Once) -> Option<Moment> {
        let clock = match once {
            Once::Moment(moment) => return Some(moment),
            Once::Clock(clock) => clock,
        };
        let mut begin = clock.seconds().saturating_sub(LONGEST_CHANGE);
        loop {
            let span = self.zone.span(begin);
            let offset = Moment::from_seconds(i64::from(span.offset)).micros();
            let shown = Moment::from_micros(clock.micros().saturating_sub(offset));
            let moment = shown.max(Moment::from_seconds(begin));
            let ends = end_of(span, begin);
            if moment < Moment::from_seconds(ends) || ends == i64::MAX {
                return (moment == shown || self.dst == Dst::Vixie).then_some(moment);
            }
            begin = ends;
        }
    }
}

/// When the span ends that holds at this second. One that is said to have ended already lasts for ever: no table of zones,
/// however broken, keeps a search from coming to its end.
fn end_of(span: Span, at: i64) -> i64 {
    span.until.filter(|until| *until > at).unwrap_or(i64::MAX)
}
