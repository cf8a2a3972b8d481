//! Saying what is wrong once, and not again each time it is found to be so still.

use std::time::{Duration, Instant};

/// The same is said again after this long.
pub const SAME_AGAIN: Duration = Duration::from_secs(30);

/// What was said last.
#[derive(Clone, Debug, Default)]
pub struct Complaints {
    last: Option<(String, Instant)>,
}

impl Complaints {
    /// Whether this is to be said now. If so, it counts as said.
    pub fn is_due(&mut self, text: &str, now: Instant) -> bool {
        if self.last.as_ref().is_some_and(|(last, at)| last == text && now < *at + SAME_AGAIN) {
            return false;
        }
        self.last = Some((text.to_owned(), now));
        true
    }
}
