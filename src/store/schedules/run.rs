//! A run of a schedule, as it is written: what it runs, for which slot, how it begins and how it ends.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;

use crate::domain::schedule::decision::{Action, Beginning, Origin};

/// The slot of a schedule, which can be run once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slot {
    pub schedule: i64,
    pub scheduled_for: TimestampWithTimeZone,
}

/// What a schedule runs, and for whom.
#[derive(Clone, Debug)]
pub struct Template {
    pub schedule: i64,
    pub owner: pg_sys::Oid,
    pub name: String,
    pub work: Work,
}

/// What a run does.
#[derive(Clone, Debug)]
pub enum Work {
    /// It runs a command, which is read from the schedule's row when it begins.
    Command,
    /// It makes a call.
    Call(Call),
}

impl Work {
    /// Which sort of work it is.
    pub const fn action(&self) -> Action {
        match self {
            Self::Command => Action::Command,
            Self::Call(_) => Action::Call,
        }
    }
}

/// The call of a schedule, as it is queued.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: String,
    pub url: String,
    pub endpoint: Option<String>,
    pub headers: Option<String>,
    pub body: Option<Vec<u8>>,
    pub max_attempts: Option<i16>,
    pub timeout_ms: Option<i32>,
}

/// A run to be written.
#[derive(Clone, Debug)]
pub struct NewRun<'a> {
    pub template: &'a Template,
    pub scheduled_for: TimestampWithTimeZone,
    pub origin: Origin,
    pub beginning: Beginning,
}

/// A run that was written.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    pub run_id: i64,
    /// The call that was queued for it.
    pub call_id: Option<i64>,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct End {
    /// `succeeded`, `failed`, `cancelled`, `expired` or `truncated`.
    pub state: &'static str,
    /// Rows that the command returned or changed.
    pub rows: Option<i64>,
    pub sqlstate: Option<String>,
    pub error: Option<String>,
}

impl NewRun<'_> {
    /// The state it is written in.
    pub(super) fn state(&self) -> &'static str {
        match (&self.beginning, &self.template.work) {
            (Beginning::AtOnce, Work::Call(_)) => "running",
            (Beginning::AtOnce, Work::Command) | (Beginning::Waiting, _) => "waiting",
            (Beginning::Refused(_), _) => "failed",
            (Beginning::Skipped { .. }, _) => "skipped",
        }
    }

    /// Why it is an end already.
    pub(super) fn reason(&self) -> Option<&str> {
        match &self.beginning {
            Beginning::AtOnce | Beginning::Waiting => None,
            Beginning::Refused(why) | Beginning::Skipped { why, .. } => Some(why),
        }
    }

    /// How many slots in a row it stands for.
    pub(super) fn slots(&self) -> i64 {
        if let Beginning::Skipped { slots, .. } = self.beginning { slots } else { 1 }
    }
}

impl Origin {
    /// Its letter.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Due => "t",
            Self::Missed => "m",
            Self::Now => "n",
            Self::Backfill => "b",
        }
    }
}
