//! Schedules: how they are written, and when they are due.

pub mod catch_up;
pub mod command;
mod course;
mod cron;
mod days;
pub mod decision;
mod describe;
mod dst;
mod error;
mod field;
mod grid;
pub mod jitter;
pub mod missed;
mod once;
pub mod overlap;
pub mod pg_cron;
pub mod planning;
pub mod steady_clock;
mod timing;
pub mod zone;

pub use course::{Bounds, Course, Next, Spread};
pub use cron::{Cron, Pace};
pub use dst::Dst;
pub use error::{Fault, ScheduleError};
pub use field::Field;
pub use grid::Grid;
pub use once::Once;
pub use timing::Timing;

/// No schedule is longer.
const LONGEST: usize = 1000;

/// A schedule, read from its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// By the clock and the calendar.
    Cron(Cron),
    /// At an interval.
    Every(Grid),
    /// Once.
    At(Once),
    /// When the server has started.
    Reboot,
}

/// Which sort of schedule it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By the clock and the calendar.
    Cron,
    /// At an interval.
    Every,
    /// Once.
    At,
    /// When the server has started.
    Reboot,
}

impl Schedule {
    /// Reads a schedule as SQL writes it.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let text = text.trim_ascii();
        let given = text.chars().count();
        if given > LONGEST {
            return Err(ScheduleError::TooLong { most: LONGEST, given });
        }
        if text.is_empty() {
            return Err(ScheduleError::Empty);
        }
        if text.starts_with('@') {
            return nickname(text);
        }
        let (word, rest) = text.split_once(|between: char| between.is_ascii_whitespace()).unwrap_or((text, ""));
        if word.eq_ignore_ascii_case("every") {
            return Grid::parse_every(text, rest).map(Self::Every);
        }
        if word.eq_ignore_ascii_case("at") {
            return Once::parse(text, rest.trim_ascii()).map(Self::At);
        }
        match Grid::parse_seconds(text) {
            Some(grid) => grid.map(Self::Every),
            None => Cron::parse(text).map(Self::Cron),
        }
    }

    /// What it means, in English.
    pub fn describe(&self) -> String {
        describe::describe(self)
    }

    /// Which sort it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Cron(_) => Kind::Cron,
            Self::Every(_) => Kind::Every,
            Self::At(_) => Kind::At,
            Self::Reboot => Kind::Reboot,
        }
    }

    /// Whether a change of the clock leaves it alone: intervals, and jobs with a star for minute, hour or seconds.
    pub fn follows_real_time(&self) -> bool {
        match self {
            Self::Cron(cron) => cron.pace == Pace::Wild,
            Self::Every(_) => true,
            Self::At(_) | Self::Reboot => false,
        }
    }
}

/// What stands for a whole expression.
fn nickname(text: &str) -> Result<Schedule, ScheduleError> {
    let fields = match text {
        "@hourly" => "0 * * * *",
        "@daily" | "@midnight" => "0 0 * * *",
        "@weekly" => "0 0 * * 0",
        "@monthly" => "0 0 1 * *",
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@reboot" | "@restart" => return Ok(Schedule::Reboot),
        _ => return Err(ScheduleError::Nickname(text.to_owned())),
    };
    Cron::parse(fields).map(Schedule::Cron)
}
