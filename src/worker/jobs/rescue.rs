//! Saving what can be saved where what was decided of jobs could not be written.
//!
//! Runs on the main thread of a dispatcher. Each case is decided and written by itself. One whose answer cannot be stored
//! goes on without it; one that fails in any other way waits, so that it is in nobody's way.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use pgrx::PgSqlErrorCode;

use super::Case;
use crate::domain::call::CallId;
use crate::store::deferred;
use crate::store::jobs::deliveries;
use crate::store::owner;
use crate::store::transaction::{Aborted, Durability, attempt, under_snapshot};
use crate::worker::outbox::Outbox;
use crate::worker::report;
use crate::worker::turn::Dispatcher;

/// How soon a case is looked at again that cannot be decided.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

impl Dispatcher {
    /// A turn's transaction has failed, and not for the server's fault. Tells of which calls there is something new.
    pub(in crate::worker) fn rescue_jobs(&mut self, told: &mut HashSet<i64>) {
        let now = SystemTime::now();
        for call in self.jobs.to_look_at(now) {
            match self.write_case(call, now) {
                Ok(rows) => {
                    self.note_written(&rows);
                    told.extend(rows.told_of());
                }
                Err(failed) if failed.is_transient() => return,
                // It has an end, and that is never written again.
                Err(failed) if failed.sqlstate == PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION => match clear_away(call) {
                    Ok(()) => {
                        self.jobs.close(call);
                        self.schedules.ended_somehow(call.0);
                        told.insert(call.0);
                    }
                    Err(failed) if failed.is_transient() => return,
                    Err(failed) => self.give_way(call, &failed, now),
                },
                Err(failed) => self.give_way(call, &failed, now),
            }
        }
    }

    /// Decides of a case and writes it, in a transaction of its own.
    fn write_case(&mut self, call: CallId, now: SystemTime) -> Result<Outbox, Aborted> {
        let current = self.ring.current;
        let decided = attempt(|| {
            owner::step_down()?;
            let decided = self.decide_some(&[call], now)?;
            under_snapshot(|| decided.write(current))?;
            Ok((decided, Durability::Full))
        })?;
        Ok(self.close_cases(decided))
    }

    fn give_way(&mut self, call: CallId, failed: &Aborted, now: SystemTime) {
        let has_answer = matches!(self.jobs.case(call), Some(Case::Answered { .. }));
        if !has_answer {
            report::warn(&format!("cannot write what became of job {call}: {failed}"));
            return self.jobs.look_at(call, now + AFTER_FAILURE);
        }
        let reason = failed.message.clone();
        self.jobs.becomes(call, |case| match case {
            Case::Answered { terms, report, entry } => Case::Unstorable { terms, report, entry, reason },
            other => other,
        });
    }
}

/// Deletes what is left of a job whose call has ended otherwise: it would be found again and again.
fn clear_away(call: CallId) -> Result<(), Aborted> {
    attempt(|| {
        owner::step_down()?;
        under_snapshot(|| deferred::undefer(vec![call.0]))?;
        under_snapshot(|| deliveries::forget_ended(vec![call.0]))?;
        Ok(((), Durability::Relaxed))
    })
}
