//! After which answers and failures a call is tried again.

use std::ops::RangeInclusive;

use super::outcome::{FailureClass, Retryability};

/// The outcomes after which a call is tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct Conditions {
    statuses: Vec<RangeInclusive<u16>>,
    /// Those of the statuses that a user has written out, each for itself.
    named: Vec<u16>,
    classes: Vec<FailureClass>,
}

/// Not something a call can be tried again after.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "retry_on item \"{0}\" is not a status such as 503, a class of statuses such as 5xx (but not 2xx, a success), or \
     one of dns, connect, tls, timeout, protocol, connect_timeout, first_byte_timeout, idle_timeout"
)]
pub struct UnknownCondition(String);

impl Default for Conditions {
    /// Transport errors, timeouts, 408, 425, 429, and every 5xx but 501 and 505, which a retry does not change.
    fn default() -> Self {
        let statuses = vec![408..=408, 425..=425, 429..=429, 500..=500, 502..=504, 506..=599];
        let classes = FailureClass::ALL.into_iter().filter(|class| class.retryability() == Retryability::Retry);
        Self { statuses, named: Vec::new(), classes: classes.collect() }
    }
}

impl Conditions {
    /// Whether a call is tried again after this status.
    pub fn hold_for_status(&self, status: u16) -> bool {
        self.statuses.iter().any(|range| range.contains(&status))
    }

    /// Whether a call is tried again after a failure of this class.
    pub fn hold_for_class(&self, class: FailureClass) -> bool {
        self.classes.contains(&class)
    }

    /// Whether a user has asked for this very status, and not only for its class.
    pub fn names(&self, status: u16) -> bool {
        self.named.contains(&status)
    }

    /// Reads the items of `retry_on`.
    pub fn parse(items: &[String]) -> Result<Self, UnknownCondition> {
        let mut conditions = Self { statuses: Vec::new(), named: Vec::new(), classes: Vec::new() };
        for item in items {
            let text = item.trim().to_ascii_lowercase();
            if let Some(range) = statuses(&text) {
                conditions.named.extend(Some(*range.start()).filter(|_| range.start() == range.end()));
                conditions.statuses.push(range);
            } else if let Some(classes) = classes(&text) {
                conditions.classes.extend(classes);
            } else {
                return Err(UnknownCondition(item.clone()));
            }
        }
        Ok(conditions)
    }
}

fn statuses(text: &str) -> Option<RangeInclusive<u16>> {
    let range = match text {
        "1xx" | "3xx" | "4xx" | "5xx" => {
            let hundreds = u16::from(text.as_bytes()[0] - b'0') * 100;
            hundreds..=hundreds + 99
        }
        _ => {
            let status = text.parse::<u16>().ok()?;
            status..=status
        }
    };
    let is_failure = *range.start() >= 100 && *range.end() <= 999 && !(200..300).contains(range.start());
    is_failure.then_some(range)
}

fn classes(text: &str) -> Option<Vec<FailureClass>> {
    use FailureClass as Class;
    match text {
        "connect" => Some(vec![Class::Connect, Class::ConnectTimeout]),
        "timeout" => Some(vec![Class::Timeout, Class::FirstByteTimeout, Class::ConnectTimeout, Class::IdleTimeout]),
        _ => {
            let class = FailureClass::ALL.into_iter().find(|class| class.name() == text)?;
            (class.retryability() == Retryability::Retry).then(|| vec![class])
        }
    }
}
