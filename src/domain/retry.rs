//! After an attempt: is the call done, or is it tried again, and when?

use std::time::{Duration, SystemTime};

use super::outcome::{Head, Outcome, Retryability};

/// How often and how soon a call is tried again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all, the first included.
    pub max_attempts: u32,
    /// Wait before the first retry.
    pub base: Duration,
    /// Each further wait is this many times the one before.
    pub factor: f64,
    /// No wait is longer, except one that the peer asked for.
    pub cap: Duration,
    /// Up to this much is added at random, so that callers that failed together do not return together.
    pub jitter: Duration,
}

/// A peer may ask us to stay away for a day and no longer.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// How soon an attempt that failed through our own fault is made again.
pub const UNCHARGED_PAUSE: Duration = Duration::from_millis(250);

/// What follows from an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A 2xx answer: the call is done.
    Succeeded,
    /// The call is done and did not succeed.
    Failed,
    /// The call is tried again.
    Retry(Retry),
}

/// A decision to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Not before.
    pub at: SystemTime,
    /// Whether the attempt that failed counts.
    pub charge: Charge,
    /// The peer asked every caller to stay away until then.
    pub parks_endpoint: Option<SystemTime>,
}

/// Whether an attempt counts towards `max_attempts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// It counts.
    Attempt,
    /// It was our own fault and does not count.
    Nothing,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            base: Duration::from_secs(1),
            factor: 2.0,
            cap: Duration::from_secs(60 * 60),
            jitter: Duration::from_secs(1),
        }
    }
}

impl RetryPolicy {
    /// The wait after `failed` charged attempts (1 or more): `base * factor^(failed - 1)`, capped, plus jitter.
    ///
    /// `random` lies in 0..=1.
    pub fn wait(&self, failed: u32, random: f64) -> Duration {
        let exponent = i32::try_from(failed.saturating_sub(1)).unwrap_or(i32::MAX);
        let backoff = self.base.as_secs_f64() * self.factor.powi(exponent);
        let backoff = backoff.min(self.cap.as_secs_f64());
        let jitter = self.jitter.as_secs_f64() * random.clamp(0.0, 1.0);
        Duration::try_from_secs_f64(backoff + jitter).unwrap_or(self.cap)
    }
}

/// Decides what follows from the latest attempt.
///
/// `charged` is the number of attempts that count, the latest included.
pub fn decide(policy: &RetryPolicy, charged: u32, outcome: &Outcome, now: SystemTime, random: f64) -> Verdict {
    match retryability(outcome) {
        None => Verdict::Succeeded,
        Some(Retryability::Final) => Verdict::Failed,
        Some(Retryability::Uncharged) => {
            Verdict::Retry(Retry { at: now + UNCHARGED_PAUSE, charge: Charge::Nothing, parks_endpoint: None })
        }
        Some(Retryability::Retry) if charged >= policy.max_attempts => Verdict::Failed,
        Some(Retryability::Retry) => {
            let asked = outcome.head().and_then(|head| retry_after(head, now));
            let planned = now + policy.wait(charged, random);
            let at = asked.map_or(planned, |asked| asked.max(planned));
            Verdict::Retry(Retry { at, charge: Charge::Attempt, parks_endpoint: asked })
        }
    }
}

/// `None` for a success.
fn retryability(outcome: &Outcome) -> Option<Retryability> {
    match outcome {
        Outcome::Failure(failure) => Some(failure.class.retryability()),
        Outcome::Response(response) => match response.head.status {
            200..=299 => None,
            408 | 425 | 429 => Some(Retryability::Retry),
            501 | 505 => Some(Retryability::Final),
            500..=599 => Some(Retryability::Retry),
            _ => Some(Retryability::Final),
        },
    }
}

/// When the peer wants to be asked again (RFC 9110, section 10.2.3): seconds, or any of the three HTTP dates.
pub fn retry_after(head: &Head, now: SystemTime) -> Option<SystemTime> {
    let value = head.header("retry-after")?.trim();
    let at = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // So many digits that they overflow mean "long", and long is capped below.
        now + Duration::from_secs(value.parse().unwrap_or(u64::MAX).min(LONGEST_RETRY_AFTER.as_secs()))
    } else {
        httpdate::parse_http_date(value).ok()?
    };
    Some(at.clamp(now, now + LONGEST_RETRY_AFTER))
}
