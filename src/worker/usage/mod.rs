//! Counting what calls come to, and keeping endpoints within their quotas.
//!
//! Runs on the main thread of a dispatcher. Counts are summed in memory and written about once a second, in a transaction that is
//! made anyway where there is one: a row that many transactions change is slow to find while somebody holds an old snapshot. The
//! attempts of endpoints whose quota holds calls back are written with the lease that takes the calls on, so that a crash forgets
//! none of them.

mod writing;

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::time::{Duration, SystemTime};

use self::writing::Passed;
use super::ledger::InFlight;
use super::send::Departure;
use super::turn::Dispatcher;
use crate::domain::backlog::LaneName;
use crate::domain::month::Month;
use crate::domain::outcome::{Outcome, Retryability};
use crate::domain::quota::{Action, Quota};
use crate::domain::usage::{Counts, Deltas, First};
use crate::error::Error;
use crate::store;
use crate::store::transaction::under_snapshot;

/// Counts wait in memory for so long at most; so much may be missing after a crash.
const DELAY: Duration = Duration::from_secs(1);

/// What is counted and not written.
#[derive(Debug)]
pub struct Usage {
    /// Of what has happened.
    held: Deltas,
    /// The attempts that the next lease takes on of endpoints that are held to a quota. Counted anew with each lease.
    leased: Deltas,
    since: Option<SystemTime>,
    written_at: SystemTime,
    /// The month for which it is known what is left of quotas.
    month: Option<Month>,
    /// The endpoints that have one.
    quotas: HashMap<LaneName, Quota>,
    calendar: Calendar,
    /// The origins that are counted this month.
    origins: Option<(Month, HashSet<LaneName>)>,
    /// What the running transaction writes.
    writing: Option<Vec<Passed>>,
}

/// A month, and the time that it takes.
#[derive(Debug)]
struct Calendar {
    month: Month,
    span: Range<SystemTime>,
}

impl Default for Calendar {
    fn default() -> Self {
        Self { month: Month::of(SystemTime::UNIX_EPOCH), span: SystemTime::UNIX_EPOCH..SystemTime::UNIX_EPOCH }
    }
}

/// What an attempt was counted as.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    month: Month,
    counts: Counts,
}

impl Usage {
    /// Nothing is counted.
    pub fn new() -> Self {
        Self {
            held: Deltas::default(),
            leased: Deltas::default(),
            since: None,
            written_at: SystemTime::UNIX_EPOCH,
            month: None,
            quotas: HashMap::new(),
            calendar: Calendar::default(),
            origins: None,
            writing: None,
        }
    }

    /// Whether it is known what is left of quotas.
    pub fn knows(&mut self, now: SystemTime) -> bool {
        let month = self.month_of(now);
        self.month == Some(month)
    }

    /// When what is counted is to be written at the latest.
    pub fn next_write(&self) -> Option<SystemTime> {
        self.since.map(|since| since + DELAY)
    }

    /// What is known of quotas does not hold any more, and is worked out anew before anything is sent.
    pub fn forget_quotas(&mut self) {
        self.month = None;
    }

    /// The month of a moment, which is nearly always that of the moment before.
    fn month_of(&mut self, at: SystemTime) -> Month {
        if !self.calendar.span.contains(&at) {
            let month = Month::of(at);
            self.calendar = Calendar { month, span: month.begins_at()..month.next().begins_at() };
        }
        self.calendar.month
    }

    fn add(&mut self, lane: &LaneName, month: Month, counts: Counts, now: SystemTime) {
        self.held.add(lane, month, counts);
        if self.since.is_none() && !self.held.is_empty() {
            self.since = Some(now);
        }
    }

    fn has_waited(&self, now: SystemTime) -> bool {
        // Also where the clock was set back in between.
        self.since.is_some_and(|since| now >= since + DELAY || now < since)
    }
}

impl Dispatcher {
    /// Whether counts have waited for long enough, or nobody will be there to write them later.
    pub(super) fn usage_is_due(&self, now: SystemTime) -> bool {
        self.usage.has_waited(now) || (self.stopping && self.usage.since.is_some())
    }

    /// Counts what the next lease takes on, of endpoints that are held to a quota.
    pub(super) fn count_leased(&mut self, now: SystemTime) {
        let month = self.usage.month_of(now);
        let mut leased = Deltas::default();
        for departure in &self.taking {
            if self.is_held_to_quota(&departure.lane) {
                leased.add(&departure.lane, month, counted(departure, month).counts);
            }
        }
        self.usage.leased = leased;
    }

    /// Whether the lease that is being written has to be on disk when it is committed.
    pub(super) fn leases_to_quota(&self) -> bool {
        !self.usage.leased.is_empty()
    }

    /// Counts a call that goes out, where its lease has not. Gives what it was counted as.
    pub(super) fn count_departure(&mut self, departure: &Departure, now: SystemTime) -> Counted {
        let counted = counted(departure, self.usage.month_of(now));
        if !self.is_held_to_quota(&departure.lane) {
            self.usage.add(&departure.lane, counted.month, counted.counts, now);
        }
        counted
    }

    /// Counts what came of an attempt. One that was not made after all, for want of our own means, does not count.
    pub(super) fn count_answer(&mut self, entry: &InFlight, outcome: &Outcome, now: SystemTime) {
        match outcome {
            Outcome::Response(response) => {
                let month = self.usage.month_of(now);
                self.usage.add(&entry.lane, month, Counts::answer(response.body.len()), now);
            }
            // Its events were counted as they came.
            Outcome::Streamed(_) => {}
            Outcome::Failure(failure) if failure.retryability() == Retryability::Uncharged => {
                let Counted { month, counts } = entry.counted;
                self.usage.add(&entry.lane, month, counts.back(), now);
                if self.usage.month == Some(month) {
                    self.backlog.refund(&entry.lane);
                }
            }
            Outcome::Failure(_) => {}
        }
    }

    /// Counts what has come of a streamed answer.
    pub(super) fn count_events(&mut self, lane: &LaneName, bytes: usize, now: SystemTime) {
        let month = self.usage.month_of(now);
        self.usage.add(lane, month, Counts::answer(bytes), now);
    }

    /// Works out what is left of each quota: at the beginning, when endpoints change, and in each new month.
    pub(super) fn work_out_quotas(&mut self, now: SystemTime) -> Result<(), Error> {
        let month = Month::of(now);
        let limited: HashMap<LaneName, Quota> = self.endpoints.quotas().collect();
        let names: Vec<String> = limited.keys().map(LaneName::to_string).collect();
        let used =
            if names.is_empty() { HashMap::new() } else { under_snapshot(|| store::usage::attempts(names, month))? };
        for (lane, quota) in &limited {
            let written = used.get(&**lane).copied().unwrap_or(0);
            let used = written + self.usage.held.attempts(lane, month) + self.on_their_way(lane);
            self.backlog.allow(lane, quota.allowance(u64::try_from(used).unwrap_or(0), month));
        }
        (self.usage.month, self.usage.quotas) = (Some(month), limited);
        Ok(())
    }

    fn is_held_to_quota(&self, lane: &LaneName) -> bool {
        self.usage.quotas.get(lane).is_some_and(|quota| quota.action == Action::Hold)
    }

    /// Calls of a lane that are taken and not counted yet.
    fn on_their_way(&self, lane: &LaneName) -> i64 {
        let chosen = self.chosen.iter().filter(|(of, _)| of == lane).count();
        let taking = self.taking.iter().filter(|departure| departure.lane == *lane).count();
        i64::try_from(chosen + taking).unwrap_or(i64::MAX)
    }
}

/// What a call that goes out counts as. A try that was broken off by a crash was one as well.
fn counted(departure: &Departure, month: Month) -> Counted {
    let first = if departure.queued.tries == 0 { First::Yes } else { First::No };
    let bytes = departure.attempt.request.body.as_ref().map_or(0, bytes::Bytes::len);
    Counted { month, counts: Counts::attempt(first, bytes) }
}
