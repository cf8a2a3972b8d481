//! Writing what was counted.
//!
//! Runs on the main thread of a dispatcher.

use std::time::SystemTime;

use super::{DELAY, Usage};
use crate::domain::backlog::LaneName;
use crate::domain::month::Month;
use crate::domain::quota::{Action, Mark, Quota};
use crate::domain::usage::{self, Deltas, OTHER};
use crate::error::Error;
use crate::store;
use crate::store::transaction::in_subtransaction;
use crate::worker::report;
use crate::worker::turn::Dispatcher;

/// Origins of bare URLs that are told apart in a month.
const MOST_ORIGINS: usize = 10_000;

/// A year can be compared with the one before.
const MONTHS_KEPT: i32 = 13;

/// A quota of which a mark was passed.
#[derive(Debug)]
pub(super) struct Passed {
    endpoint: String,
    quota: Quota,
    attempts: i64,
    mark: Mark,
}

impl Dispatcher {
    /// Writes the counts whose time has come, in the running transaction.
    pub(in crate::worker) fn write_usage(&mut self, now: SystemTime) -> Result<(), Error> {
        self.usage.writing = None;
        let rests = self.ledger.in_flight() == 0 && self.taking.is_empty() && now >= self.usage.written_at + DELAY;
        if self.usage.leased.is_empty() && !rests && !self.usage_is_due(now) {
            return Ok(());
        }
        if !self.usage.leased.is_empty() {
            return self.write_counts(now);
        }
        // Nothing rests on these but what people read, so they stop no call: what cannot be written is tried again later.
        if let Err(failed) = in_subtransaction(|| self.write_counts(now)) {
            (self.usage.writing, self.usage.since, self.usage.written_at) = (None, Some(now), now);
            report::log(&format!("what calls came to cannot be written now: {failed}"));
        }
        Ok(())
    }

    fn write_counts(&mut self, now: SystemTime) -> Result<(), Error> {
        let mut sums = self.usage.held.clone();
        sums.add_all(&self.usage.leased);
        if sums.is_empty() {
            return Ok(());
        }
        self.know_origins(Month::of(now))?;
        let sums = sums.renamed(|lane, month| self.usage.name_of(lane, month));
        let rows = sums.rows();
        let mut passed = Vec::new();
        for sum in store::usage::add(&rows)? {
            // Few have one, and there may be thousands of rows.
            let Some(quota) = self.usage.quotas.get(sum.endpoint.as_str()).copied() else { continue };
            let is_sum = |(lane, month, _): &&(&str, Month, _)| *lane == sum.endpoint && month.to_string() == sum.month;
            let Some((_, _, counts)) = rows.iter().find(is_sum) else { continue };
            let count = |count: i64| u64::try_from(count).unwrap_or(0);
            if let Some(mark) = quota.passed(count(sum.attempts - counts.attempts), count(sum.attempts)) {
                passed.push(Passed { endpoint: sum.endpoint, quota, attempts: sum.attempts, mark });
            }
        }
        self.usage.writing = Some(passed);
        Ok(())
    }

    /// The transaction has committed, and with it what it wrote.
    pub(in crate::worker) fn usage_committed(&mut self, now: SystemTime) {
        let Some(passed) = self.usage.writing.take() else { return };
        (self.usage.held, self.usage.leased) = (Deltas::default(), Deltas::default());
        (self.usage.since, self.usage.written_at) = (None, now);
        passed.iter().for_each(tell);
    }

    /// Reads, once a month, which origins are counted, and forgets what is too old.
    fn know_origins(&mut self, month: Month) -> Result<(), Error> {
        if self.usage.origins.as_ref().is_some_and(|(known, _)| *known == month) {
            return Ok(());
        }
        store::usage::forget_before(month, MONTHS_KEPT)?;
        let known = store::usage::origins(month, MOST_ORIGINS)?;
        self.usage.origins = Some((month, known.into_iter().map(LaneName::from).collect()));
        Ok(())
    }
}

impl Usage {
    /// The name under which a lane is counted.
    fn name_of(&mut self, lane: &LaneName, month: Month) -> LaneName {
        let Some((known_month, known)) = &mut self.origins else { return LaneName::clone(lane) };
        // The last month's rest is small, and most of it is of origins that have their row.
        if !usage::is_origin(lane) || month != *known_month || known.contains(lane) {
            return LaneName::clone(lane);
        }
        if known.len() >= MOST_ORIGINS {
            return LaneName::from(OTHER);
        }
        known.insert(LaneName::clone(lane));
        LaneName::clone(lane)
    }
}

/// Tells whoever reads the server log.
fn tell(passed: &Passed) {
    let Passed { endpoint, quota, attempts, mark } = passed;
    let used =
        format!("endpoint {endpoint} has used {attempts} of the {} attempts of its monthly quota", quota.attempts);
    match (mark, quota.action) {
        (Mark::Most, _) => report::log(&used),
        (Mark::All, Action::Warn) => report::warn(&used),
        (Mark::All, Action::Hold) => report::warn(&format!(
            "{used}; its calls wait until the month ends in UTC, or edge.alter_endpoint raises the quota"
        )),
    }
}
