//! What endpoints last had wrong, and which of them refuse their key, on the way into shared memory.
//!
//! Plain bookkeeping on the main thread of a dispatcher. An attempt that succeeds costs a look at an empty set.

use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::time::SystemTime;

use pgrx::pg_sys;

use super::trace::fault;
use super::{last_errors, stats};
use crate::domain::backlog::LaneName;
use crate::domain::outcome::{FailureClass, Outcome};
use crate::domain::profile::said::Said;

/// What is known of all endpoints of a database, as far as it is not shown yet.
#[derive(Debug, Default)]
pub struct Standings {
    /// Those whose latest answer refused the key.
    refusing: HashSet<LaneName>,
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
        let refusing = stats::refusing(database).into_iter().map(|name| LaneName::from(name.as_str()));
        Self { refusing: refusing.collect(), news: HashMap::new() }
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
            if self.refusing.insert(lane.clone()) {
                self.news(lane).key = Some(Key::RefusedSince(now));
            }
        } else if !self.refusing.is_empty() && outcome.head().is_some() && self.refusing.remove(lane) {
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
    }
}
