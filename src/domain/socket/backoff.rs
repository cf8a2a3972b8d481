//! How long to wait before the next try.
//!
//! A relay that is restarted loses all its connections in the same moment. Were they to come back together, as they would
//! after a fixed wait, it would go down again; so each waits for a random part of a time that doubles ("full jitter").

use std::time::Duration;

/// The most of the first wait.
const FIRST: Duration = Duration::from_secs(1);

/// A connection that was open for so long has been a good one.
const GOOD: Duration = Duration::from_secs(10);

/// How often in a row it went wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A connection has ended that was open for so long. One that is lost as soon as it stands is no better than one that is
    /// refused, so only one that lasted begins anew.
    pub fn was_open(&mut self, lasted: Duration) {
        if lasted >= GOOD {
            self.failures = 0;
        }
    }

    /// How long to wait, at least for `least` and otherwise at most for `most`. `random` is from 0 to 1.
    pub fn next(&mut self, random: f64, least: Duration, most: Duration) -> Duration {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let bound = FIRST.saturating_mul(factor).min(most);
        self.failures = self.failures.saturating_add(1).min(31);
        bound.mul_f64(random.clamp(0.0, 1.0)).max(least)
    }
}
