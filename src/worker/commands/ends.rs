//! Ending runs that have no process: one that is gone, and one that is not to be.
//!
//! Runs on the main thread of a dispatcher, inside a transaction.

use std::time::{Duration, SystemTime};

use super::Commands;
use crate::domain::schedule::command::{AfterProcess, MOST_STARTS, Reached, Wish, after_process};
use crate::error::Error;
use crate::store::schedules::candidates::{Candidate, Whose};
use crate::store::schedules::commands::{self, Makes, Open, Stage};
use crate::store::schedules::due;
use crate::store::schedules::runs::{self, End, Slot};
use crate::worker::schedules::NO_RIGHTS;

/// Why a run ends that was to be tried again.
const NOT_AGAIN: &str = "it was to be tried again, but its schedule makes calls now";

impl Commands {
    /// Ends the runs whose processes are gone without having done so, and those that nobody wants begun. Inside a
    /// transaction, as all that follow: what changes in memory is true without it. Gives those that it has to leave for later.
    pub(super) fn clear_up(&mut self, limit: Option<Duration>, now: SystemTime) -> Result<Vec<i64>, Error> {
        let mut left = Vec::new();
        for open in commands::open()? {
            if let Some(process) = self.find(&open, limit, now) {
                if open.cancel_asked {
                    process.is_to_end(now);
                }
                continue;
            }
            match (open.stage, open.cancel_asked, open.retry_at, open.makes) {
                (Stage::Waiting, false, Some(at), Makes::Commands) if at > now => self.look_at(at),
                (Stage::Waiting, false, _, Makes::Commands) => {}
                _ if self.can_change(open.slot, now)? => self.close(&open, now)?,
                _ => left.push(open.run),
            }
        }
        Ok(left)
    }

    /// Ends a run that has no process, and is not to get one for the attempt that it has begun.
    fn close(&mut self, open: &Open, now: SystemTime) -> Result<(), Error> {
        self.freed = true;
        if (open.stage, open.cancel_asked) == (Stage::Waiting, false) {
            return end(open.slot, "cancelled", NOT_AGAIN);
        }
        let reached = match open.stage {
            Stage::Waiting => Reached::Waiting,
            Stage::Running if self.started.know(open.run) => Reached::RunningHere,
            Stage::Running => Reached::RunningBefore,
        };
        let wish = if open.cancel_asked { Wish::End } else { Wish::Run };
        match after_process(reached, wish, open.tries, now, fastrand::f64()) {
            AfterProcess::Cancelled(why) => {
                end(open.slot, "cancelled", commands::cancel_asked(open.slot)?.unwrap_or(why))
            }
            AfterProcess::Failed(why) => end(open.slot, "failed", why),
            AfterProcess::Again(..) if open.makes == Makes::Calls => end(open.slot, "cancelled", NOT_AGAIN),
            AfterProcess::Again(at, why) => {
                self.look_at(at);
                commands::try_again(open.slot, at, None, why)
            }
        }
    }
}

fn end(slot: Slot, state: &'static str, why: &str) -> Result<(), Error> {
    runs::finish(slot, &End { state, rows: None, sqlstate: None, error: Some(why.to_owned()) })?;
    Ok(())
}

/// Ends a run of which no process can be made.
pub(super) fn never_begins(candidate: &Candidate) -> Result<(), Error> {
    let slot = candidate.slot;
    match &candidate.whose {
        Whose::NoSchedule => end(slot, "cancelled", "its schedule was dropped"),
        Whose::NoRights => end(slot, "failed", NO_RIGHTS),
        Whose::NoRole => {
            end(slot, "failed", "the role that owns its schedule no longer exists")?;
            due::disable(&[(slot.schedule, "stopped because the role that owns it no longer exists".to_owned())])
        }
        Whose::Role { name, .. } => {
            let why = format!(
                "its process ended before it could begin, {MOST_STARTS} times; the server log says why, such as that \
                 role \"{name}\" may not connect to this database"
            );
            end(slot, "failed", &why)
        }
    }
}
