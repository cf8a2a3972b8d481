//! How many calls a second an endpoint takes: a token bucket, small enough that a second never sees many more.

use std::time::{Duration, SystemTime};

/// Calls a second, more than zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate(f64);

/// The fastest and slowest rates that can be asked for: a million a second, and one in a day.
const FASTEST: f64 = 1e6;
const SLOWEST: f64 = 1.0 / 86_400.0;

/// A bucket holds what comes in during this time, and at least one call: the dispatcher looks in turns, not at every call's
/// own moment.
const BURST: f64 = 0.05;

/// The bucket of one endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    tokens: f64,
    filled_at: SystemTime,
}

impl Rate {
    /// A rate from `per_second`; `None` if it is out of range.
    pub fn new(per_second: f64) -> Option<Self> {
        (SLOWEST..=FASTEST).contains(&per_second).then_some(Self(per_second))
    }

    /// Calls a second.
    pub fn per_second(self) -> f64 {
        self.0
    }

    fn size(self) -> f64 {
        (self.0 * BURST).max(1.0)
    }
}

impl Bucket {
    /// A full one.
    pub fn full(rate: Rate, now: SystemTime) -> Self {
        Self { tokens: rate.size(), filled_at: now }
    }

    /// Whether it holds a call.
    pub fn has_one(&self, rate: Rate, now: SystemTime) -> bool {
        // A rounding error must not cost a whole turn.
        self.tokens(rate, now) >= 1.0 - 1e-6
    }

    /// Takes a call out.
    pub fn take_one(&mut self, rate: Rate, now: SystemTime) {
        self.tokens = self.tokens(rate, now) - 1.0;
        self.filled_at = now;
    }

    /// When it holds a call next.
    pub fn next_at(&self, rate: Rate, now: SystemTime) -> SystemTime {
        let missing = (1.0 - self.tokens(rate, now)).max(0.0);
        now + Duration::try_from_secs_f64(missing / rate.0).unwrap_or(Duration::from_secs(86_400))
    }

    /// What is in it. A clock that was set back adds nothing.
    fn tokens(&self, rate: Rate, now: SystemTime) -> f64 {
        let passed = now.duration_since(self.filled_at).unwrap_or_default();
        (self.tokens + passed.as_secs_f64() * rate.0).min(rate.size())
    }
}
