//! What endpoints last had wrong, and which of them refuse their key, on the way into shared memory.
//!
//! Plain bookkeeping on the main thread of a dispatcher. An attempt that succeeds costs a look at an empty set.

use std::collections::hash_map::{Entry, HashMap};
use std::time::SystemTime;

use pgrx::pg_sys;

use super::{last_errors, stats};
use crate::domain::backlog::LaneName;
use crate::domain::fault::Fault;
use crate::domain::outcome::Outcome;
use crate::domain::profile::diagnosis::Diagnosis;
use crate::domain::refusals::{Key, Refusals};

/// How many endpoints may be remembered to refuse their key before those go that have no row in shared memory.
const REMEMBERED: usize = 2 * stats::ROWS;

/// What is known of all endpoints of a database, as far as it is not shown yet.
#[derive(Debug, Default)]
pub struct Standings {
    refusals: Refusals,
    news: HashMap<LaneName, News>,
}

/// What is to be shown of an endpoint.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// What was wrong with an attempt, and when.
    pub error: Option<(String, SystemTime)>,
    pub key: Option<Key>,
}

impl Standings {
    /// As a predecessor has left them.
    pub fn of_database(database: pg_sys::Oid) -> Self {
        Self { refusals: shown(database), news: HashMap::new() }
    }

    /// An attempt has ended so.
    pub fn heard(&mut self, lane: &LaneName, outcome: &Outcome, diagnosis: &Diagnosis, now: SystemTime) {
        if let Some(sentence) = Fault::of(outcome, diagnosis).and_then(Fault::at_endpoint) {
            self.news(lane).error = Some((sentence.into_owned(), now));
        }
        if let Some(key) = self.refusals.heard(lane, outcome, diagnosis, now) {
            self.news(lane).key = Some(key);
        }
    }

    fn news(&mut self, lane: &LaneName) -> &mut News {
        match self.news.entry(lane.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(News::default()),
        }
    }

    /// Shows what is new. To be called after the endpoints have their rows.
    pub fn show(&mut self, database: pg_sys::Oid) {
        for (lane, news) in self.news.drain() {
            last_errors::note(database, &lane, &news);
        }
        self.refusals.keep_shown(REMEMBERED, || shown(database));
    }
}

/// The refusals that shared memory shows.
fn shown(database: pg_sys::Oid) -> Refusals {
    stats::refusing(database).into_iter().map(|(name, since)| (LaneName::from(name.as_str()), since)).collect()
}
