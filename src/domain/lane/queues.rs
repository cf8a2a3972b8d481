//! The calls of a lane that wait in memory: those that were never tried go before those that are tried again, three to one.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use super::disk::OnDisk;
use crate::domain::tally::Kind;

/// So many fresh calls go out for one that is tried again, while both wait.
const FRESH_PER_RETRY: u8 = 3;

/// Whether one that was tried before may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retries {
    May,
    MustWait,
}

/// Calls, each with when it began to wait.
#[derive(Debug)]
pub(super) struct Queues<T> {
    pub fresh: VecDeque<(SystemTime, T)>,
    pub retries: VecDeque<(SystemTime, T)>,
    fresh_since_retry: u8,
}

impl<T> Queues<T> {
    pub fn new() -> Self {
        Self { fresh: VecDeque::new(), retries: VecDeque::new(), fresh_since_retry: 0 }
    }

    pub fn len(&self) -> usize {
        self.fresh.len() + self.retries.len()
    }

    pub fn of(&mut self, kind: Kind) -> &mut VecDeque<(SystemTime, T)> {
        match kind {
            Kind::Fresh => &mut self.fresh,
            Kind::Retry => &mut self.retries,
        }
    }

    /// Of which kind the next one is.
    pub fn turn(&self, retries: Retries) -> Option<Kind> {
        let may_retry = !self.retries.is_empty() && retries == Retries::May;
        let retries_turn = self.fresh.is_empty() || self.fresh_since_retry >= FRESH_PER_RETRY;
        match (may_retry && retries_turn, self.fresh.is_empty()) {
            (true, _) => Some(Kind::Retry),
            (false, false) => Some(Kind::Fresh),
            (false, true) => None,
        }
    }

    /// Takes the first of a kind, and counts whose turn it has been.
    pub fn take(&mut self, kind: Kind) -> Option<T> {
        let (_, call) = self.of(kind).pop_front()?;
        self.fresh_since_retry = match kind {
            Kind::Fresh => self.fresh_since_retry.saturating_add(1),
            Kind::Retry => 0,
        };
        Some(call)
    }

    /// Takes out all but the first `keep`, and notes of which kind they are.
    pub fn drain_beyond(&mut self, keep: usize, on_disk: &mut OnDisk) -> Vec<T> {
        let keep_fresh = keep.min(self.fresh.len());
        let keep_retries = (keep - keep_fresh).min(self.retries.len());
        if keep_fresh < self.fresh.len() {
            on_disk.note(Kind::Fresh);
        }
        if keep_retries < self.retries.len() {
            on_disk.note(Kind::Retry);
        }
        let beyond = self.fresh.drain(keep_fresh..).chain(self.retries.drain(keep_retries..));
        beyond.map(|(_, call)| call).collect()
    }

    /// Takes out those that `pick` names.
    pub fn remove(&mut self, pick: &mut impl FnMut(&T) -> bool) -> Vec<T> {
        let mut removed = Vec::new();
        for queue in [&mut self.fresh, &mut self.retries] {
            for (since, call) in std::mem::take(queue) {
                if pick(&call) {
                    removed.push(call);
                } else {
                    queue.push_back((since, call));
                }
            }
        }
        removed
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.fresh.iter_mut().chain(&mut self.retries).map(|(_, call)| call)
    }

    /// How long the one has waited that has waited longest.
    pub fn oldest_wait(&self, now: SystemTime) -> Duration {
        let oldest = [self.fresh.front(), self.retries.front()].into_iter().flatten().map(|(since, _)| *since).min();
        oldest.and_then(|since| now.duration_since(since).ok()).unwrap_or_default()
    }
}
