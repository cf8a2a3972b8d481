//! Storing what there is of outcomes: so many at once, in halves where something fails, and by itself what takes the process down.
//!
//! Runs on the main thread of the collector. An outcome whose trigger ends the process leaves no error behind. What a collector had
//! taken up when it ended is counted from then on, before it is taken up again.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use pgrx::prelude::*;

use super::collector::limited;
use crate::domain::callback;
use crate::guc::Settings;
use crate::store::collected::{self, Kept};
use crate::store::transaction::Aborted;
use crate::worker::activity::{Activity, flush_statistics};

/// Outcomes that are stored in one transaction.
const BATCH: usize = 1000;

/// Bytes of answers that are stored in one transaction: each is in memory several times over.
const BYTES: i64 = 16 * 1024 * 1024;

/// Calls are kept for at least their retention, and some hours longer or not.
const MARGIN: Duration = Duration::from_secs(24 * 60 * 60);

/// The SQLSTATE of what is given up: "connection does not exist" is what a client would have been told.
const GAVE_UP: &str = "08003";

/// How often a trigger may fail for a reason that may pass, before its response is passed over.
const TRIES: u32 = 5;

/// What a pass over all that is to be stored has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// All is stored, or passed over.
    Whole,
    /// Something was in the way of some.
    Partial,
}

/// How one storing failed.
enum Failed {
    /// Somebody holds a lock on the tables. Nothing is wrong with what is to be stored.
    Locked,
    Storing(Aborted),
}

/// What a collector knows of what it stores.
pub(super) struct Storing {
    /// How long a transaction may take.
    timeout: Duration,
    /// How many are stored together, at most.
    ceiling: usize,
    /// How often a collector may end without having stored an outcome that it took up.
    most_runs: u32,
    kept: Kept,
    /// How often a call's trigger failed for a reason that may pass.
    tries: HashMap<i64, u32>,
    /// What something is in the way of, in this pass.
    left: Vec<i64>,
}

impl Storing {
    /// With nothing behind it.
    pub(super) fn new() -> Self {
        let mut storing = Self {
            timeout: Duration::ZERO,
            ceiling: BATCH,
            most_runs: 1,
            kept: Kept::NoLongerThanCalls,
            tries: HashMap::new(),
            left: Vec::new(),
        };
        storing.follow(&Settings::current());
        storing
    }

    /// The settings of the next pass.
    pub(super) fn follow(&mut self, settings: &Settings) {
        let outlives = settings.net_ttl + MARGIN > settings.retention;
        (self.timeout, self.most_runs) = (settings.callback_timeout, settings.max_interruptions);
        self.kept = if outlives { Kept::LongerThanCalls } else { Kept::NoLongerThanCalls };
    }

    /// Stores all there is.
    pub(super) fn pass(&mut self) -> Result<Pass, Aborted> {
        (self.ceiling, self.left) = (BATCH, Vec::new());
        loop {
            let most = i32::try_from(self.ceiling).unwrap_or(i32::MAX);
            let calls = limited(self.timeout, || collected::next(most, BYTES, &self.left))?;
            if calls.is_empty() {
                break;
            }
            if self.store_all(calls)? == Pass::Partial {
                return Ok(Pass::Partial);
            }
        }
        while let Some(begun) = limited(self.timeout, || collected::least_suspect(&self.left))? {
            if self.try_suspects(begun)? == Pass::Partial {
                return Ok(Pass::Partial);
            }
        }
        Ok(if self.left.is_empty() { Pass::Whole } else { Pass::Partial })
    }

    /// Stores what a collector before has taken up so often without coming to an end: it is counted first.
    fn try_suspects(&mut self, begun: u32) -> Result<Pass, Aborted> {
        let Some(most) = callback::at_once(begun, self.most_runs, self.ceiling) else {
            for call in limited(self.timeout, || collected::begun(begun, 1, &self.left))? {
                let said = format!(
                    "storing the response was begun {begun} times, never came to its end, and is not begun again: a trigger \
                     ends the process or the server"
                );
                self.pass_over(call, GAVE_UP, &said)?;
            }
            return Ok(Pass::Whole);
        };
        let calls = limited(self.timeout, || {
            let calls = collected::begun(begun, most, &self.left)?;
            collected::note_begun(&calls, begun + 1)?;
            Ok(calls)
        })?;
        let before = self.left.len();
        let pass = self.store_all(calls)?;
        // What is left of them did not end this process.
        limited(self.timeout, || collected::note_begun(&self.left[before..], begun))?;
        Ok(pass)
    }

    /// Stores these. What fails is tried again in halves, down to one call. Where that is at fault it is passed over; where what is
    /// in the way may pass, it is left for another pass, and not for ever.
    fn store_all(&mut self, calls: Vec<i64>) -> Result<Pass, Aborted> {
        let mut parts = vec![calls];
        while let Some(mut calls) = parts.pop() {
            match self.store(&calls) {
                Ok(busy) => self.left.extend(busy),
                Err(Failed::Locked) => {
                    self.left.extend(calls.into_iter().chain(parts.into_iter().flatten()));
                    return Ok(Pass::Partial);
                }
                Err(Failed::Storing(aborted)) => match calls[..] {
                    [call] => self.could_not_store(call, &aborted)?,
                    _ => {
                        let half = calls.split_off(calls.len() / 2);
                        if aborted.is_cancel() {
                            // Triggers take so long that more would never be stored in time.
                            self.ceiling = half.len();
                        }
                        parts.extend([half, calls]);
                    }
                },
            }
            flush_statistics(Activity::Busy);
        }
        Ok(Pass::Whole)
    }

    /// Stores some outcomes, and gives those that wait for somebody. What is waited for before the tables are locked is nobody's
    /// fault whose outcome it is.
    fn store(&self, calls: &[i64]) -> Result<Vec<i64>, Failed> {
        let mut is_locked = false;
        let stored = limited(
            self.timeout,
            AssertUnwindSafe(|| {
                collected::lock()?;
                is_locked = true;
                collected::collect(calls, self.kept)
            }),
        );
        stored.map_err(|aborted| if is_locked { Failed::Storing(aborted) } else { Failed::Locked })
    }

    fn could_not_store(&mut self, call: i64, aborted: &Aborted) -> Result<(), Aborted> {
        let tried = self.tries.entry(call).or_default();
        *tried += 1;
        if aborted.is_transient() && !is_the_triggers(aborted) && *tried < TRIES {
            self.left.push(call);
            return Ok(());
        }
        self.pass_over(call, &aborted.sqlstate_text(), &aborted.message)
    }

    /// Gives an outcome up. Its request is taken out of the queue after that: a trigger there may be what is wrong.
    fn pass_over(&mut self, call: i64, sqlstate: &str, error: &str) -> Result<(), Aborted> {
        self.tries.remove(&call);
        limited(self.timeout, || collected::pass_over(call, sqlstate, error))?;
        // Where that fails, a trigger of a user's keeps it there.
        let _kept = limited(self.timeout, || collected::forget_request(call));
        Ok(())
    }
}

/// Whether an error that passes by itself elsewhere is here a trigger's, with which it stays.
fn is_the_triggers(aborted: &Aborted) -> bool {
    use PgSqlErrorCode as Code;
    matches!(
        aborted.sqlstate,
        Code::ERRCODE_QUERY_CANCELED | Code::ERRCODE_UNDEFINED_TABLE | Code::ERRCODE_INVALID_SCHEMA_NAME
    )
}
