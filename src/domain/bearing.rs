//! What an attempt says of its endpoint, whatever it means for its call.

use std::time::SystemTime;

use super::breaker::Health;
use super::outcome::Outcome;
use super::profile::diagnosis::Diagnosis;
use super::retry::{asks_to_wait, health};
use super::retry_policy::RetryPolicy;
use super::tally::Reach;

/// What it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bearing {
    /// Whether the endpoint answered.
    pub reach: Reach,
    /// How it is doing.
    pub health: Health,
    /// The peer wants to be left alone until then.
    pub parks_endpoint: Option<SystemTime>,
}

impl Bearing {
    /// That of an attempt that ended so.
    pub fn of(outcome: &Outcome, policy: &RetryPolicy, diagnosis: &Diagnosis, now: SystemTime) -> Self {
        let parks_endpoint = asks_to_wait(policy, outcome, diagnosis, now);
        Self { health: health(outcome), parks_endpoint, ..Self::of_one_apart(outcome) }
    }

    /// That of an attempt which is made whatever became of those before it, as those of pg_edge_net are: it holds up nothing.
    pub fn of_one_apart(outcome: &Outcome) -> Self {
        let reach = match outcome {
            Outcome::Response(_) | Outcome::Streamed(_) => Reach::Answered,
            Outcome::Failure(failure) if failure.events > 0 => Reach::Answered,
            Outcome::Failure(_) => Reach::Silent,
        };
        Self { reach, health: Health::Unknown, parks_endpoint: None }
    }
}
