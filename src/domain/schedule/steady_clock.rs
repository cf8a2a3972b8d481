//! A clock for what follows real time: intervals, and jobs that run every so many minutes. When somebody sets the server's
//! clock back, they neither wait until it is that late again, nor run a second time for the same time of day.
//!
//! It shows what the clock on the wall shows, and never goes back. If the wall clock does, this one goes on at half the speed
//! until the wall clock has caught up: no slot comes twice, none is left out, and both agree again after twice the step.

use std::time::{Duration, Instant};

use crate::domain::moment::Moment;

/// Further ahead of the wall clock than this it does not stay. A step back by more than a day mends a clock that was
/// badly wrong; whoever waited for it would run at half speed for months, and jobs with a fixed time not at all.
pub const MOST_AHEAD: Duration = Duration::from_secs(86_400);

/// The clock, as it was last read.
#[derive(Clone, Copy, Debug)]
pub struct SteadyClock {
    shown: Moment,
    read_at: Instant,
}

/// What the clock shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Not earlier than the reading before.
    Steady(Moment),
    /// The wall clock's time, which is so much earlier that the clock begins anew.
    Reset(Moment),
}

impl SteadyClock {
    /// A clock that shows this at that instant.
    pub const fn showing(moment: Moment, at: Instant) -> Self {
        Self { shown: moment, read_at: at }
    }

    /// Reads it, given what the wall clock shows at that instant.
    pub fn read(&mut self, wall: Moment, at: Instant) -> Reading {
        let passed = at.saturating_duration_since(self.read_at);
        // At half the speed. Where the wall clock has not been set back, it is ahead of this.
        let slowed = self.shown.saturating_add(passed / 2);
        self.read_at = at;
        if slowed > wall.saturating_add(MOST_AHEAD) {
            self.shown = wall;
            return Reading::Reset(wall);
        }
        self.shown = slowed.max(wall);
        Reading::Steady(self.shown)
    }

    /// How long it takes, if nobody sets a clock, until this one shows `moment`, given what the wall clock shows now.
    pub fn wait_until(&self, moment: Moment, wall: Moment) -> Duration {
        let left = between(self.shown, moment);
        // Before the two meet it is slow; from then on it is the wall clock.
        if self.shown > wall { (left * 2).min(between(wall, moment)) } else { left }
    }
}

/// How long after the first the second is; nothing if it is earlier.
pub fn between(first: Moment, second: Moment) -> Duration {
    let micros = second.micros().saturating_sub(first.micros());
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
