//! What the calls of an endpoint come to in a month: summed in memory, and added to what is kept.

use std::collections::HashMap;

use super::backlog::LaneName;
use super::month::Month;

/// What is counted. Below zero where something is taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that were tried a first time.
    pub calls: i64,
    /// Attempts.
    pub attempts: i64,
    /// Bytes of the bodies that were sent.
    pub request_bytes: i64,
    /// Bytes of the bodies that came back, unpacked.
    pub response_bytes: i64,
}

/// Counts that are to be added.
#[derive(Clone, Debug, Default)]
pub struct Deltas(HashMap<LaneName, Vec<(Month, Counts)>>);

/// In the place of the origins that are too many to be told apart. No endpoint and no origin is called so.
pub const OTHER: &str = "(other)";

impl Counts {
    /// One attempt with so many bytes.
    pub fn attempt(first: First, bytes: usize) -> Self {
        let calls = i64::from(first == First::Yes);
        Self { calls, attempts: 1, request_bytes: signed(bytes), response_bytes: 0 }
    }

    /// So many bytes of an answer.
    pub fn answer(bytes: usize) -> Self {
        Self { response_bytes: signed(bytes), ..Self::default() }
    }

    /// The same taken back.
    #[must_use]
    pub fn back(self) -> Self {
        Self {
            calls: -self.calls,
            attempts: -self.attempts,
            request_bytes: -self.request_bytes,
            response_bytes: -self.response_bytes,
        }
    }

    fn add(&mut self, more: Self) {
        self.calls += more.calls;
        self.attempts += more.attempts;
        self.request_bytes += more.request_bytes;
        self.response_bytes += more.response_bytes;
    }
}

/// Whether an attempt is the first of its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// It is.
    Yes,
    /// It is not.
    No,
}

impl Deltas {
    /// Adds something that happened in a month.
    pub fn add(&mut self, lane: &LaneName, month: Month, counts: Counts) {
        if counts == Counts::default() {
            return;
        }
        // Looked up by the bare name: every attempt is counted here, and nearly all of them find their row.
        let Some(months) = self.0.get_mut(&**lane) else {
            self.0.insert(LaneName::clone(lane), vec![(month, counts)]);
            return;
        };
        match months.iter_mut().find(|(known, _)| *known == month) {
            Some((_, sum)) => sum.add(counts),
            None => months.push((month, counts)),
        }
    }

    /// Adds all of another sum.
    pub fn add_all(&mut self, others: &Self) {
        for (lane, month, counts) in others.iter() {
            self.add(lane, month, counts);
        }
    }

    /// The attempts that are counted here.
    pub fn attempts(&self, lane: &LaneName, month: Month) -> i64 {
        let of_lane = self.0.get(&**lane).into_iter().flatten();
        of_lane.filter(|(known, _)| *known == month).map(|(_, counts)| counts.attempts).sum()
    }

    /// Whether there is nothing to be added.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is to be added, lane by lane, in the order in which rows are always locked.
    pub fn rows(&self) -> Vec<(&str, Month, Counts)> {
        let mut rows: Vec<_> = self.iter().map(|(lane, month, counts)| (&**lane, month, counts)).collect();
        rows.sort_unstable_by_key(|(lane, month, _)| (*lane, *month));
        rows
    }

    /// The same with another name for some of the lanes.
    #[must_use]
    pub fn renamed(&self, mut name: impl FnMut(&LaneName, Month) -> LaneName) -> Self {
        let mut renamed = Self::default();
        for (lane, month, counts) in self.iter() {
            renamed.add(&name(lane, month), month, counts);
        }
        renamed
    }

    fn iter(&self) -> impl Iterator<Item = (&LaneName, Month, Counts)> {
        self.0.iter().flat_map(|(lane, months)| months.iter().map(move |(month, counts)| (lane, *month, *counts)))
    }
}

/// Whether a lane is that of a bare URL. Names of endpoints hold no colon. The same is asked in SQL.
pub fn is_origin(lane: &str) -> bool {
    lane.contains("://")
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
