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

/// How a statement ends that was cancelled.
const CANCELLED: &str = "57014";

/// A function that is not there. It will not be there at the next slot either.
const UNDEFINED_FUNCTION: &str = "42883";

/// How long a command may take: what its schedule says, or what is set. Zero is no limit.
pub fn limit_of(timeout_ms: Option<i32>, otherwise: Option<Duration>) -> Option<Duration> {
    match timeout_ms {
        Some(millis) => Some(Duration::from_millis(u64::from(millis.unsigned_abs()))).filter(|limit| !limit.is_zero()),
        None => otherwise,
    }
}

/// How often a command was tried, the latest attempt included, and how often it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tries {
    /// So often it was.
    pub made: u32,
    /// So often it may be.
    pub most: u32,
}

impl Tries {
    /// When it is tried again after a failure, unless that was the last time. `random` lies in 0..=1.
    fn again(self, now: SystemTime, random: f64) -> Option<SystemTime> {
        (self.made < self.most).then(|| now + RetryPolicy::default().wait(self.made, random))
    }
}

/// What somebody wants of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// That it is run.
    Run,
    /// That it ends.
    End,
}

/// What follows when a command has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterError {
    /// It is run again, not before this.
    Again(SystemTime),
    /// Its run was cancelled.
    Cancelled,
    /// Its run has failed.
    Failed,
    /// Its run has failed, and so will all others of its schedule.
    Hopeless,
}

/// Decides what follows when a command has failed with an error.
pub fn after_error(sqlstate: &str, wish: Wish, tries: Tries, now: SystemTime, random: f64) -> AfterError {
    if wish == Wish::Run
        && let Some(at) = tries.again(now, random)
    {
        return AfterError::Again(at);
    }
    match (sqlstate, wish) {
        (CANCELLED, Wish::End) => AfterError::Cancelled,
        (UNDEFINED_FUNCTION, _) => AfterError::Hopeless,
        _ => AfterError::Failed,
    }
}

/// Whether an error is what a cancel ends a statement with.
pub fn is_cancel(sqlstate: &str) -> bool {
    sqlstate == CANCELLED
}

/// How far a run had come whose process is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// It had not begun, or waits to be tried again.
    Waiting,
    /// Its command was being run, by a process that this dispatcher has seen.
    RunningHere,
    /// Its command was being run, by a process that this dispatcher has never seen.
    RunningBefore,
}

/// What follows when the process of a run is gone, which has not said how the run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterProcess {
    /// The run was cancelled.
    Cancelled(&'static str),
    /// The run has failed.
    Failed(&'static str),
    /// The command is run again, not before this.
    Again(SystemTime, &'static str),
}

/// Decides what follows when the process of a run is gone.
pub fn after_process(reached: Reached, wish: Wish, tries: Tries, now: SystemTime, random: f64) -> AfterProcess {
    let why = match (reached, wish) {
        (Reached::Waiting, _) => return AfterProcess::Cancelled("it was cancelled before it began"),
        (_, Wish::End) => return AfterProcess::Cancelled("it was cancelled, and its process ended"),
        (Reached::RunningHere, Wish::Run) => "its process ended before it did",
        (Reached::RunningBefore, Wish::Run) => {
            "interrupted: the server restarted, or the database was wanted without sessions"
        }
    };
    match tries.again(now, random) {
        Some(at) => AfterProcess::Again(at, why),
        None => AfterProcess::Failed(why),
    }
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
