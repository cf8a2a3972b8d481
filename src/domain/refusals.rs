//! Which endpoints refuse their key, and since when.

use std::collections::hash_map::HashMap;
use std::time::SystemTime;

use super::backlog::LaneName;
use super::outcome::Outcome;
use super::profile::diagnosis::Diagnosis;

/// Those whose latest answer refused the key.
#[derive(Debug, Default)]
pub struct Refusals {
    since: HashMap<LaneName, SystemTime>,
}

/// What an endpoint makes of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// It has been refusing it since then.
    RefusedSince(SystemTime),
    /// It takes it again.
    Taken,
}

impl Refusals {
    /// What an outcome tells of the key, where that is to be shown.
    pub fn heard(&mut self, lane: &LaneName, outcome: &Outcome, diagnosis: &Diagnosis, now: SystemTime) -> Option<Key> {
        if diagnosis.refuses_key() {
            // Each time: the endpoint may have lost its row to another one.
            return Some(Key::RefusedSince(self.refused(lane, now)));
        }
        (outcome.head().is_some() && self.taken(lane)).then_some(Key::Taken)
    }

    /// An answer has refused the key. Gives since when they do.
    pub fn refused(&mut self, lane: &LaneName, now: SystemTime) -> SystemTime {
        match self.since.get(lane) {
            Some(since) => *since,
            None => *self.since.entry(lane.clone()).or_insert(now),
        }
    }

    /// An answer has taken the key. Tells whether the one before it had refused it.
    pub fn taken(&mut self, lane: &LaneName) -> bool {
        !self.since.is_empty() && self.since.remove(lane).is_some()
    }

    /// Where they have grown to more than so many, forgets all but those that are shown, which `shown` gives: origins come and go
    /// for ever, and of one that is not shown there is nothing to be taken back.
    pub fn keep_shown(&mut self, most: usize, shown: impl FnOnce() -> Self) {
        if self.since.len() > most {
            let shown = shown();
            self.since.retain(|lane, _| shown.since.contains_key(lane));
        }
    }

    /// How many they are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.since.len()
    }
}

impl FromIterator<(LaneName, SystemTime)> for Refusals {
    fn from_iter<I: IntoIterator<Item = (LaneName, SystemTime)>>(known: I) -> Self {
        Self { since: known.into_iter().collect() }
    }
}
