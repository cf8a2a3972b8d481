//! A background job: a call that its function may accept now and complete later.
//!
//! Each sending of a job is a delivery with a token of its own. A delivery has a lease: until it runs out, whoever has the
//! token may say how the job ended, or that it is still being worked on. Whatever has been said so wins over everything
//! that the dispatcher knows.

use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::header::own;
use super::outcome::{Outcome, Response};
use super::retry::{History, is_too_old};
use super::retry_policy::RetryPolicy;

/// The shortest deadline and heartbeat.
pub const SHORTEST: Duration = Duration::from_millis(100);

/// The longest deadline and heartbeat.
pub const LONGEST: Duration = Duration::from_secs(24 * 24 * 60 * 60);

/// The deadline where none is given.
pub const USUAL: Duration = Duration::from_secs(5 * 60);

/// The largest progress, in bytes as it is sent in a header.
pub const LARGEST_PROGRESS: usize = 4096;

/// As much of a function's error is kept, in bytes.
pub const LONGEST_ERROR: usize = 8192;

/// What a job's function is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long one delivery may take, from its sending until the function has said that it is done.
    pub deadline: Duration,
    /// How long a function that has accepted may be silent, where that is less.
    pub heartbeat: Option<Duration>,
}

/// The latest delivery of a job, while it may still be reported on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// When it was sent.
    pub sent_at: SystemTime,
    /// When its function said that it will report later.
    pub accepted_at: Option<SystemTime>,
    /// When it was last said to be worked on.
    pub heard_at: Option<SystemTime>,
    /// Until then its token is good.
    pub lease_until: SystemTime,
    /// How it ended, where its function has said so.
    pub said: Option<Said>,
}

/// How a job ended, in the words of its function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It is done; with a result, as a text of JSON.
    Completed(Option<String>),
    /// This delivery has failed.
    Failed {
        /// Why.
        error: String,
        /// Whether another one makes sense.
        again: Again,
    },
}

/// Whether a function that has failed wants its job again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// As long as there are attempts left.
    Welcome,
    /// It would fail as well.
    InVain,
}

/// What becomes of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Course {
    /// Its function has said how it ended.
    Said(Said),
    /// Its function has accepted it, and has until then to be heard of.
    Accepted {
        /// When its lease runs out.
        until: SystemTime,
    },
    /// Nothing was heard of it in time.
    Lapsed,
    /// It was on the wire when its dispatcher ended, and was not accepted; whether it has arrived, nobody knows.
    Interrupted,
    /// It is a call as any other.
    AsAnyCall,
}

/// How a delivery has failed that another one may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setback {
    /// Its function was not heard of in time.
    Silence,
    /// Its function has said so.
    Failure,
}

impl Terms {
    /// How long a sign of life counts.
    pub fn grace(&self) -> Duration {
        self.heartbeat.unwrap_or(self.deadline)
    }
}

/// What follows from the answer to a delivery, or from there being none.
pub fn after_answer(terms: &Terms, delivery: Option<&Delivery>, outcome: &Outcome, now: SystemTime) -> Course {
    if let Some(said) = delivery.and_then(|delivery| delivery.said.clone()) {
        return Course::Said(said);
    }
    match outcome {
        Outcome::Response(response) if accepts(response) => {
            let until = delivery.map(|delivery| lease_at_acceptance(terms, delivery, now));
            until.filter(|until| *until > now).map_or(Course::Lapsed, |until| Course::Accepted { until })
        }
        Outcome::Response(_) | Outcome::Streamed(_) | Outcome::Failure(_) => Course::AsAnyCall,
    }
}

/// What follows from looking at a job that is not on the wire, and at its delivery if that is not over.
pub fn at_rest(delivery: Option<&Delivery>, now: SystemTime) -> Course {
    let Some(delivery) = delivery else { return Course::AsAnyCall };
    if let Some(said) = &delivery.said {
        return Course::Said(said.clone());
    }
    match delivery.accepted_at {
        None => Course::Interrupted,
        Some(_) if delivery.lease_until > now => Course::Accepted { until: delivery.lease_until },
        Some(_) => Course::Lapsed,
    }
}

/// Whether an answer means that the function has accepted the job and reports later.
pub fn accepts(response: &Response) -> bool {
    let status = response.head.status;
    let says_so = || response.head.header(own::ACCEPTED).is_some_and(|value| value.trim() == "1");
    status == 202 || (200..=299).contains(&status) && (says_so() || is_queued(&response.body))
}

/// Whether a body is a JSON object that has the member `"queued": true`.
fn is_queued(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Body {
        queued: bool,
    }
    let is_object = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    is_object && serde_json::from_slice::<Body>(body).is_ok_and(|body| body.queued)
}

/// How long a delivery has that is accepted now: to its deadline or the next sign of life, whichever comes first; but what
/// earlier signs of life have given it, it keeps.
pub fn lease_at_acceptance(terms: &Terms, delivery: &Delivery, now: SystemTime) -> SystemTime {
    let deadline = delivery.sent_at + terms.deadline;
    let lease = terms.heartbeat.map_or(deadline, |heartbeat| deadline.min(now + heartbeat));
    delivery.heard_at.map_or(lease, |heard| lease.max(heard + terms.grace()))
}

/// When a job of which a delivery has failed is delivered again; `None` where that was the last one. `random` lies in 0..=1.
///
/// A first delivery that is not heard of is followed by another at once: its function is most likely gone, and the job has
/// waited long enough. Where that goes on the functions may have too much to do, and would have more with each delivery.
pub fn next_delivery(
    policy: &RetryPolicy,
    history: &History,
    setback: Setback,
    now: SystemTime,
    random: f64,
) -> Option<SystemTime> {
    if history.charged >= history.max_attempts.unwrap_or(policy.max_attempts) {
        return None;
    }
    let at = match setback {
        Setback::Silence if history.charged <= 1 => now,
        Setback::Silence | Setback::Failure => now + policy.wait(history.charged, random),
    };
    (!is_too_old(policy, history.born_at, at)).then_some(at)
}

/// A text of JSON that can stand in a header: everything but visible ASCII and spaces is escaped. All that can be found of
/// it in such a text stands within its strings.
pub fn in_ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if matches!(character, ' '..='~') {
            text.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}
