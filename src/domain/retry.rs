//! After an attempt: is the call done, or is it tried again, and when?

use std::time::{Duration, SystemTime};

use super::breaker::Health;
use super::outcome::{Failure, FailureClass, Head, Outcome, Retryability};
use super::profile::advice::Advice;
use super::profile::diagnosis::Diagnosis;
use super::retry_policy::RetryPolicy;
use super::stream::follower::Ended;

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
    /// The call is done: its answer was streamed, and broke off.
    Truncated,
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
}

/// Whether an attempt counts towards `max_attempts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// It counts.
    Attempt,
    /// It was our own fault and does not count.
    Nothing,
}

/// A call and its history, as far as they count here.
#[derive(Clone, Copy, Debug)]
pub struct History {
    /// Attempts that count, the latest included.
    pub charged: u32,
    /// Attempts that the call itself was given; `None` leaves it to the policy.
    pub max_attempts: Option<u32>,
    /// When its age begins to count.
    pub born_at: SystemTime,
}

impl History {
    /// That of a call at its attempt of this number, where those that a crash has interrupted do not count.
    pub fn of(number: u32, interruptions: u32, max_attempts: Option<u32>, born_at: SystemTime) -> Self {
        Self { charged: number.saturating_sub(interruptions), max_attempts, born_at }
    }
}

/// Decides what follows from the latest attempt, of which the endpoint's platform said this. `random` lies in 0..=1.
///
/// What is known of platforms only takes back what the policy would do: nothing is tried again because of it, and never sooner. Where the user's
/// `retry_on` names the very status, it is tried again as often as he says.
pub fn decide(
    policy: &RetryPolicy,
    history: &History,
    outcome: &Outcome,
    diagnosis: &Diagnosis,
    now: SystemTime,
    random: f64,
) -> Verdict {
    let advice = if is_asked_for(policy, outcome) { diagnosis.advice().where_asked_for() } else { diagnosis.advice() };
    let charge = match after(policy, outcome) {
        After::Retry(Charge::Attempt) if advice == Advice::Final => return Verdict::Failed,
        After::Success => return Verdict::Succeeded,
        After::Final => return Verdict::Failed,
        After::Truncated => return Verdict::Truncated,
        After::Retry(charge) => charge,
    };
    if charge == Charge::Nothing {
        return Verdict::Retry(Retry { at: now + UNCHARGED_PAUSE, charge });
    }
    let allowed = history.max_attempts.unwrap_or(policy.max_attempts);
    let (most, least) = match advice {
        Advice::AtMost(most) => (most.min(allowed), Duration::ZERO),
        Advice::NotBefore(least) => (allowed, least),
        Advice::AsThePolicySays | Advice::Final => (allowed, Duration::ZERO),
    };
    if history.charged >= most {
        return Verdict::Failed;
    }
    let asked = asks_to_wait(policy, outcome, diagnosis, now);
    let planned = now + policy.wait(history.charged, random).max(least);
    let at = asked.map_or(planned, |asked| asked.max(planned));
    if is_too_old(policy, history.born_at, at) {
        return Verdict::Failed;
    }
    Verdict::Retry(Retry { at, charge })
}

/// Until when the peer wants every caller to stay away, where its answer is one after which calls are tried again. It says so in
/// a header, or in its platform's own way.
pub fn asks_to_wait(
    policy: &RetryPolicy,
    outcome: &Outcome,
    diagnosis: &Diagnosis,
    now: SystemTime,
) -> Option<SystemTime> {
    let head = outcome.head().filter(|head| policy.retry_on.hold_for_status(head.status))?;
    retry_after(head, now).or_else(|| Some(now + diagnosis.wait()?.min(LONGEST_RETRY_AFTER)))
}

/// Whether the user has named the very status among what is to be tried again.
fn is_asked_for(policy: &RetryPolicy, outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Response(response) if policy.retry_on.names(response.head.status))
}

/// Whether a call would be older than its policy allows at `at`.
pub fn is_too_old(policy: &RetryPolicy, born_at: SystemTime, at: SystemTime) -> bool {
    policy.max_age.is_some_and(|age| born_at + age < at)
}

/// What an outcome says of the endpoint.
pub fn health(outcome: &Outcome) -> Health {
    use FailureClass as Class;
    match outcome {
        Outcome::Response(response) => match response.head.status {
            501 | 505 => Health::Well,
            500..=599 => Health::Ill,
            _ => Health::Well,
        },
        Outcome::Streamed(streamed) => match streamed.ended {
            Ended::Complete => Health::Well,
            Ended::Truncated(_) | Ended::GivenUp(..) => Health::Ill,
            // The endpoint did its work, and then could not say whose fault it is: its own, or that of whom it asked.
            Ended::Failed(_) => Health::Unknown,
        },
        Outcome::Failure(failure) => match failure.class {
            Class::Dns
            | Class::Connect
            | Class::ConnectTimeout
            | Class::Tls
            | Class::FirstByteTimeout
            | Class::Timeout
            | Class::Protocol
            | Class::IdleTimeout => Health::Ill,
            Class::ResponseTooLarge | Class::EventTooLarge | Class::Redirect => Health::Well,
            _ => Health::Unknown,
        },
    }
}

/// What an outcome means, before it is counted how often the call was tried.
enum After {
    Success,
    Final,
    Truncated,
    Retry(Charge),
}

fn after(policy: &RetryPolicy, outcome: &Outcome) -> After {
    match outcome {
        Outcome::Response(response) if matches!(response.head.status, 200..=299) => After::Success,
        Outcome::Response(response) if policy.retry_on.hold_for_status(response.head.status) => {
            After::Retry(Charge::Attempt)
        }
        Outcome::Response(_) => After::Final,
        Outcome::Streamed(streamed) => match streamed.ended {
            Ended::Complete => After::Success,
            // Both come after an event.
            Ended::Truncated(_) | Ended::GivenUp(..) => After::Truncated,
            Ended::Failed(_) => After::Final,
        },
        Outcome::Failure(failure) => after_failure(policy, failure),
    }
}

fn after_failure(policy: &RetryPolicy, failure: &Failure) -> After {
    match failure.retryability() {
        Retryability::Uncharged => After::Retry(Charge::Nothing),
        Retryability::Retry if policy.retry_on.hold_for_class(failure.class) => After::Retry(Charge::Attempt),
        Retryability::Retry | Retryability::Final => After::Final,
    }
}

/// When the peer wants to be asked again (RFC 9110, section 10.2.3): seconds, or any of the three HTTP dates.
pub fn retry_after(head: &Head, now: SystemTime) -> Option<SystemTime> {
    read_retry_after(head.header("retry-after")?, now)
}

/// The same for the value of the header.
pub fn read_retry_after(value: &str, now: SystemTime) -> Option<SystemTime> {
    let value = value.trim();
    let at = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // So many digits that they overflow mean "long", and long is capped below.
        now + Duration::from_secs(value.parse().unwrap_or(u64::MAX).min(LONGEST_RETRY_AFTER.as_secs()))
    } else {
        httpdate::parse_http_date(value).ok()?
    };
    Some(at.clamp(now, now + LONGEST_RETRY_AFTER))
}
