//! The commands of schedules: what follows when one has failed, and how one that is to end is made to.

use std::time::{Duration, SystemTime};

use crate::domain::retry_policy::RetryPolicy;

/// A command that goes on after a cancel, because it catches it, is cancelled again this often.
const BETWEEN_CANCELS: Duration = Duration::from_secs(1);

/// After this long its process is ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long after its own limit a command is given to notice it.
const GRACE: Duration = Duration::from_secs(5);

/// A process that has ended before its command began is followed by this many others at most.
pub const MOST_STARTS: u32 = 3;

/// The pause between them.
const BETWEEN_STARTS: Duration = Duration::from_secs(5);

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The run is over.
    Ended,
    /// The command is run again, not before this.
    Again(SystemTime),
}

/// Decides what follows when the so-manieth attempt of at most `most` has failed. `random` lies in 0..=1.
pub fn after_failure(attempts: u32, most: u32, now: SystemTime, random: f64) -> Verdict {
    if attempts >= most.max(1) {
        return Verdict::Ended;
    }
    Verdict::Again(now + RetryPolicy::default().wait(attempts, random))
}

/// What is to be done about a run of which processes were started that ended before they could begin it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Another one is started.
    Now,
    /// Another one is started then.
    At(SystemTime),
    /// No other one is.
    Never,
}

/// Decides whether another process is started after `times`, the last of them at `last`.
pub fn next_start(times: u32, last: SystemTime, now: SystemTime) -> Start {
    // A clock that was set back must not put it off for longer.
    let again = last.min(now) + BETWEEN_STARTS;
    match times {
        0 => Start::Now,
        _ if again > now => Start::At(again),
        _ if times < MOST_STARTS => Start::Now,
        _ => Start::Never,
    }
}

/// What is done to a command's process now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// It is let alone.
    Nothing,
    /// Its statement is cancelled.
    Cancel,
    /// It is ended.
    Terminate,
}

/// What has been done so far to end a command, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushing {
    /// When somebody was first seen to want it to end.
    pub asked_at: Option<SystemTime>,
    /// When its own limit ends it.
    pub limit_at: Option<SystemTime>,
    /// When it was last pushed.
    pub pushed_at: Option<SystemTime>,
}

impl Pushing {
    /// Decides what is to be done now.
    pub fn push(&self, now: SystemTime) -> Push {
        if self.next(now).is_none_or(|at| at > now) {
            return Push::Nothing;
        }
        let out_of_patience = self.asked_at.is_some_and(|asked| asked + PATIENCE <= now);
        let overdue = self.limit_at.is_some_and(|limit| limit + GRACE <= now);
        if out_of_patience || overdue { Push::Terminate } else { Push::Cancel }
    }

    /// When something is to be done next.
    pub fn next(&self, now: SystemTime) -> Option<SystemTime> {
        let overdue = self.limit_at.map(|limit| limit + GRACE);
        let first = [self.asked_at, overdue].into_iter().flatten().min()?;
        // A clock that was set back must not put off what was due.
        let again = self.pushed_at.map(|at| at.min(now) + BETWEEN_CANCELS);
        Some(again.map_or(first, |again| again.max(first)))
    }
}
