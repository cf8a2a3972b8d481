//! What becomes of the slots of a fixed-time job that a change of the clock skips or repeats.

use super::error::ScheduleError;

/// The rule for jobs with a fixed time of day. Those with a star in the minute, hour or seconds field follow real time
/// under each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dst {
    /// As cron(8) has it: what a gap skips runs once right after it, what an overlap repeats runs in its first pass.
    Vixie,
    /// As `Vixie`, but what a gap skips does not run.
    Skip,
    /// Whenever the clock on the wall shows the time: never in a gap, twice in an overlap.
    Literal,
}

impl Dst {
    /// Reads the name of a rule.
    pub fn parse(name: &str) -> Result<Self, ScheduleError> {
        [Self::Vixie, Self::Skip, Self::Literal]
            .into_iter()
            .find(|rule| rule.as_str() == name)
            .ok_or_else(|| ScheduleError::Dst(name.to_owned()))
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vixie => "vixie",
            Self::Skip => "skip",
            Self::Literal => "literal",
        }
    }
}
