//! The processes that were started for runs, so that one which ends before it could begin is not started again for ever.
//!
//! Runs on the main thread of a dispatcher.

use std::collections::HashMap;
use std::time::SystemTime;

use crate::domain::schedule::command::{Start, next_start};
use crate::store::schedules::candidates::Candidate;

/// What was started, by run.
#[derive(Default)]
pub struct Starts(HashMap<i64, Started>);

/// Processes that were started for one attempt of a run.
struct Started {
    /// The attempts that had been made before.
    made: u32,
    times: u32,
    last: SystemTime,
}

impl Starts {
    /// How many runs are known.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether this dispatcher has seen a process of a run.
    pub fn know(&self, run: i64) -> bool {
        self.0.contains_key(&run)
    }

    /// What is to be done about a run that may begin. If it is known by the attempt that it is about to make, the last
    /// process has ended before it could begin that.
    pub fn next(&self, candidate: &Candidate, now: SystemTime) -> Start {
        self.of(candidate).map_or(Start::Now, |started| next_start(started.times, started.last, now))
    }

    /// A process was started.
    pub fn note(&mut self, candidate: &Candidate, now: SystemTime) {
        let times = self.of(candidate).map_or(1, |started| started.times + 1);
        self.0.insert(candidate.run, Started { made: candidate.made, times, last: now });
    }

    /// A process was found that an earlier dispatcher has started, and that has begun its attempt.
    pub fn adopt(&mut self, run: i64, made: u32, now: SystemTime) {
        let before = made.saturating_sub(1);
        self.0.insert(run, Started { made: before, times: 1, last: now });
    }

    /// Forgets all runs but these.
    pub fn keep(&mut self, mut is_kept: impl FnMut(i64) -> bool) {
        self.0.retain(|run, _| is_kept(*run));
    }

    fn of(&self, candidate: &Candidate) -> Option<&Started> {
        self.0.get(&candidate.run).filter(|started| started.made == candidate.made)
    }
}
