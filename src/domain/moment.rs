//! A point in time that may lie before 1970 and has microseconds, as Postgres' timestamps do.

use std::fmt;
use std::time::Duration;

const MICROS: i64 = 1_000_000;

/// Microseconds since 1970 in UTC.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(i64);

impl Moment {
    /// So many microseconds after 1970, or before it.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// So many seconds after 1970, or before it; what lies too far away becomes the first or the last moment.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MICROS))
    }

    /// Microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(MICROS)
    }

    /// This much later; the last moment if there is none.
    #[must_use]
    pub fn saturating_add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(micros_of(by)))
    }

    /// This much earlier; the first moment if there is none.
    #[must_use]
    pub fn saturating_sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(micros_of(by)))
    }
}

fn micros_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl fmt::Display for Moment {
    /// As ISO 8601 has it, in UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => timestamp.fmt(f),
            // Beyond the year 9999.
            Err(_) => write!(f, "{} s since 1970", self.seconds()),
        }
    }
}
