//! A month of the calendar, in UTC: what platforms bill by.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

/// A month of a year. Counted from January of the year 0, so that it can be reckoned with.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(i32);

impl Month {
    /// The month in which a moment lies.
    pub fn of(at: SystemTime) -> Self {
        let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let timestamp = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        let date = Offset::UTC.to_datetime(timestamp.unwrap_or(Timestamp::MAX)).date();
        Self(i32::from(date.year()) * 12 + i32::from(date.month()) - 1)
    }

    /// When it begins. One beyond the calendar never does.
    pub fn begins_at(self) -> SystemTime {
        let far = UNIX_EPOCH + Duration::from_secs(Timestamp::MAX.as_second().unsigned_abs());
        let begin = || {
            let first = Date::new(self.year(), self.number(), 1).ok()?.at(0, 0, 0, 0);
            let seconds = Offset::UTC.to_timestamp(first).ok()?.as_second();
            Some(UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).ok()?))
        };
        begin().unwrap_or(far)
    }

    /// The one that follows.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// So many months earlier.
    #[must_use]
    pub fn back(self, months: i32) -> Self {
        Self(self.0 - months)
    }

    fn year(self) -> i16 {
        i16::try_from(self.0.div_euclid(12)).unwrap_or(i16::MAX)
    }

    fn number(self) -> i8 {
        i8::try_from(self.0.rem_euclid(12) + 1).unwrap_or(1)
    }
}

impl fmt::Display for Month {
    /// Its first day, as ISO 8601 has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-01", self.year(), self.number())
    }
}
