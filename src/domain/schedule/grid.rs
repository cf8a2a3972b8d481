//! Intervals: a grid of moments that never drifts, because each is counted from its anchor and none from the last run.

use super::error::ScheduleError;
use crate::domain::moment::Moment;

/// The longest interval: a leap year.
const LONGEST: u64 = 366 * 86_400;
/// What pg_cron takes.
const LONGEST_OF_PG_CRON: u64 = 59;

/// Every so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    seconds: u32,
}

impl Grid {
    /// Reads what follows `every`; `text` is the whole schedule.
    pub fn parse_every(text: &str, rest: &str) -> Result<Self, ScheduleError> {
        let words: Vec<&str> = rest.split_ascii_whitespace().collect();
        let wrong = || ScheduleError::Every(text.to_owned());
        let (number, unit) = match *words {
            [unit] => ("1", unit),
            [number, unit] => (number, unit),
            _ => return Err(wrong()),
        };
        let unit = ["second", "minute", "hour"].iter().zip([1, 60, 3600]).find(|(name, _)| is_unit(unit, name));
        let (Some((_, unit)), Some(number)) = (unit, digits(number)) else { return Err(wrong()) };
        let seconds = number.saturating_mul(unit);
        let fits = (1..=LONGEST).contains(&seconds);
        Self::of(seconds).filter(|_| fits).ok_or_else(|| ScheduleError::Interval { text: text.to_owned() })
    }

    /// Reads pg_cron's `N seconds`; `None` if it is something else.
    pub fn parse_seconds(text: &str) -> Option<Result<Self, ScheduleError>> {
        let (number, unit) = text.split_once(|between: char| between.is_ascii_whitespace())?;
        let number = digits(number).filter(|_| is_unit(unit.trim_ascii(), "second"))?;
        let fits = (1..=LONGEST_OF_PG_CRON).contains(&number);
        Some(Self::of(number).filter(|_| fits).ok_or_else(|| ScheduleError::Seconds { text: text.to_owned() }))
    }

    fn of(seconds: u64) -> Option<Self> {
        u32::try_from(seconds).ok().map(|seconds| Self { seconds })
    }

    /// How many seconds lie between two moments of it.
    pub const fn seconds(self) -> u32 {
        self.seconds
    }

    /// The first moment of the grid through `anchor` that is later than `after`.
    pub fn next_after(self, anchor: Moment, after: Moment) -> Option<Moment> {
        let step = i128::from(self.seconds) * 1_000_000;
        let since = i128::from(after.micros()) - i128::from(anchor.micros());
        let next = i128::from(anchor.micros()) + (since.div_euclid(step) + 1) * step;
        i64::try_from(next).ok().map(Moment::from_micros)
    }
}

/// A number of digits only; one too large for anything becomes the largest.
fn digits(word: &str) -> Option<u64> {
    let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| word.parse().unwrap_or(u64::MAX))
}

/// Whether the word is this unit, in the singular or the plural.
fn is_unit(word: &str, unit: &str) -> bool {
    let singular = word.strip_suffix(['s', 'S']).unwrap_or(word);
    singular.eq_ignore_ascii_case(unit)
}
