//! What endpoints last had wrong, and which of them refuse their key, on the way into shared memory.
//!
//! Plain bookkeeping on the main thread of a dispatcher. An attempt that succeeds costs a look at an empty set.

use std::collections::hash_map::{Entry, HashMap};
use std::time::SystemTime;

use pgrx::pg_sys;

use super::trace::fault;
use super::{last_errors, stats};
use crate::domain::backlog::LaneName;
use crate::domain::outcome::{FailureClass, Outcome};
use crate::domain::profile::said::Said;
use crate::domain::refusals::Refusals;

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

/// What an endpoint makes of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    RefusedSince(SystemTime),
    Taken,
}

impl Standings {
    /// As a predecessor has left them.
    pub fn of_database(database: pg_sys::Oid) -> Self {
        Self { refusals: shown(database), news: HashMap::new() }
    }

    /// An attempt has ended so.
    pub fn heard(&mut self, lane: &LaneName, outcome: &Outcome, said: &Said, now: SystemTime) {
        if let Some((class, sentence)) = fault(outcome, said) {
            match class {
                // Neither is the endpoint's doing.
                FailureClass::Cancelled | FailureClass::Interrupted => {}
                // The stream's own words are its owner's alone, and every role may see how endpoints are doing.
                FailureClass::Stream => self.note_error(lane, "a streamed answer said that it failed".to_owned(), now),
                _ => self.note_error(lane, sentence.into_owned(), now),
            }
        }
        if said.refuses_key() {
            // Each time: the endpoint may have lost its row to another one.
            let since = self.refusals.refused(lane, now);
            self.news(lane).key = Some(Key::RefusedSince(since));
        } else if outcome.head().is_some() && self.refusals.taken(lane) {
            self.news(lane).key = Some(Key::Taken);
        }
    }

    fn note_error(&mut self, lane: &LaneName, sentence: String, now: SystemTime) {
        self.news(lane).error = Some((sentence, now));
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
