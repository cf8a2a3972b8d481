//! The dispatcher's side of `pg_edge.max_queued_per_role`: taking away what has ended, and counting anew.
//!
//! Runs on the main thread of a dispatcher.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use pgrx::pg_sys;

use crate::error::Error;
use crate::store::queue;
use crate::store::responses::Ending;
use crate::store::transaction::under_snapshot;
use crate::worker::latch::my_database;
use crate::worker::queued::quota::{self, Queued};
use crate::worker::turn::Dispatcher;

/// A short queue is counted anew this often while calls are made, in case the count is off.
const RECOUNT: Duration = Duration::from_secs(60);

/// More calls than this are not counted anew without a reason.
const SHORT: i64 = 4096;

/// When the calls of each role are counted in the tables.
#[derive(Debug)]
pub struct Counting {
    wanted: bool,
    next: SystemTime,
}

impl Counting {
    /// Nobody has counted yet.
    pub fn new(now: SystemTime) -> Self {
        Self { wanted: true, next: now }
    }

    /// Something happened that the count does not know of.
    pub fn want(&mut self) {
        self.wanted = true;
    }
}

/// These calls have ended, and that is committed.
pub fn ended(endings: &[Ending]) {
    let mut owners: HashMap<pg_sys::Oid, i64> = HashMap::new();
    for ending in endings {
        *owners.entry(ending.owner).or_default() += 1;
    }
    for (owner, calls) in owners {
        quota::add(my_database(), owner, -calls);
    }
}

impl Dispatcher {
    /// Counts the calls of each role in the tables, if there is a limit and a reason.
    pub(in crate::worker) fn recount(&mut self, now: SystemTime) -> Result<(), Error> {
        if self.settings.max_queued_per_role == 0 {
            // What is not kept right meanwhile is counted when somebody sets a limit.
            self.counting.want();
            return Ok(());
        }
        // Before the snapshot: what is added from here on is not among the rows that are counted.
        let before = quota::of_database(my_database());
        let short = before.iter().map(|queued| queued.calls).sum::<i64>() <= SHORT;
        if self.counting.wanted || (short && now >= self.counting.next) {
            let found = under_snapshot(queue::unfinished_by_owner)?;
            let found: Vec<Queued> = found.into_iter().map(|(role, calls)| Queued { role, calls }).collect();
            quota::correct(my_database(), &before, &found);
            self.counting = Counting { wanted: false, next: now + RECOUNT };
        }
        Ok(())
    }

    /// Whether there is a reason to count before anything else happens.
    pub(in crate::worker) fn wants_recount(&self) -> bool {
        self.settings.max_queued_per_role > 0 && self.counting.wanted
    }
}
