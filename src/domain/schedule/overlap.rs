//! What becomes of a run whose time has come while others of its schedule have not ended. A run has ended when its call has,
//! retries included, or its command.

use std::fmt;

/// What a schedule wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// The new run does not take place.
    Skip,
    /// It waits; a further one does not take place.
    QueueOne,
    /// It does not matter.
    Allow,
    /// The others are ended.
    Cancel,
}

/// The runs of a schedule that have not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// Those that have begun.
    pub running: usize,
    /// Those that wait for others to end.
    pub waiting: usize,
}

/// What becomes of the new run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It begins.
    Run,
    /// It waits until the others have ended.
    Wait,
    /// It does not take place.
    Skip(InTheWay),
    /// The others are cancelled, and it begins.
    CancelThenRun,
}

/// Why a run does not take place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InTheWay {
    /// One that has begun.
    Running,
    /// One that waits already.
    Waiting,
}

impl Overlap {
    /// Reads the name of a policy.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Skip, Self::QueueOne, Self::Allow, Self::Cancel].into_iter().find(|policy| policy.as_str() == name)
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::QueueOne => "queue_one",
            Self::Allow => "allow",
            Self::Cancel => "cancel",
        }
    }

    /// What becomes of a run whose time has come.
    pub const fn decide(self, open: Open) -> Decision {
        match (self, open) {
            (Self::Allow, _) | (_, Open { running: 0, waiting: 0 }) => Decision::Run,
            (Self::Cancel, _) => Decision::CancelThenRun,
            (Self::Skip, Open { running: 0, .. }) | (Self::QueueOne, Open { waiting: 1.., .. }) => {
                Decision::Skip(InTheWay::Waiting)
            }
            (Self::Skip, _) => Decision::Skip(InTheWay::Running),
            (Self::QueueOne, _) => Decision::Wait,
        }
    }

    /// What becomes of one of several runs in a line: the slots that are made up for, and those that are due with them.
    /// Somebody wants each of them, so they take place one after the other, unless only the latest matters.
    pub const fn decide_in_line(self, open: Open) -> Decision {
        match self.decide(open) {
            Decision::Skip(_) => Decision::Wait,
            decision => decision,
        }
    }
}

impl fmt::Display for InTheWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "the run before it had not ended",
            Self::Waiting => "another run was waiting already",
        })
    }
}
