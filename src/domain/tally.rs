//! What became of attempts, as their endpoint sees it, and how much of it there was.

use super::breaker::Health;

/// Whether a call has been tried before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It has not.
    Fresh,
    /// It has, and failed.
    Retry,
}

impl Kind {
    /// Of a call with so many tries, of which so many were interrupted: those were not its own failures.
    pub fn of(tries: u32, interruptions: u32) -> Self {
        if tries > interruptions { Self::Retry } else { Self::Fresh }
    }
}

/// What became of an attempt, as its endpoint sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// As it was taken.
    pub kind: Kind,
    /// Whether anything came back at all.
    pub reach: Reach,
    /// What it says of the endpoint.
    pub health: Health,
    /// What it means for the call.
    pub call: CallEnd,
}

/// Whether an endpoint answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// With whatever status.
    Answered,
    /// It did not.
    Silent,
}

/// What an attempt means for its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// It is done, and succeeded.
    Succeeded,
    /// It is done, and did not.
    Failed,
    /// It is tried again.
    Retried,
    /// That is not known yet: it is a job.
    Open,
}

/// Counts since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Attempts that ended.
    pub attempts: u64,
    /// Attempts that spoke against the endpoint.
    pub ill: u64,
    /// Calls that succeeded.
    pub succeeded: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Attempts after which the call is tried again.
    pub retried: u64,
    /// How often the breaker opened.
    pub openings: u64,
}

impl Tally {
    /// Counts an attempt that has ended.
    pub fn count(&mut self, ended: &Ended) {
        self.attempts += 1;
        self.ill += u64::from(ended.health == Health::Ill);
        self.count_call(ended.call);
    }

    /// Counts what became of a call.
    pub fn count_call(&mut self, call: CallEnd) {
        match call {
            CallEnd::Succeeded => self.succeeded += 1,
            CallEnd::Failed => self.failed += 1,
            CallEnd::Retried => self.retried += 1,
            CallEnd::Open => {}
        }
    }
}
