//! The slots that were missed: the newest of them one by one, and how many there were in all. Finding them takes a bounded
//! number of steps, also for a job of every second that was missed for years.

use std::time::Duration;

use super::catch_up::{CatchUp, Rules, Skipped, Slots, Why};
use crate::domain::moment::Moment;

/// So many slots are gone through in a row.
const STRIDE: usize = 10_000;

/// How many slots there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// So many.
    Exactly(u64),
    /// So many and more; nobody went through them all.
    AtLeast(u64),
}

/// The slots of a stretch of time.
pub(super) struct Missed {
    /// The newest, in order.
    pub newest: Vec<Moment>,
    earlier: Option<Earlier>,
}

/// Those before the newest.
#[derive(Clone, Copy)]
struct Earlier {
    first: Moment,
    last: Moment,
    count: Count,
}

impl Missed {
    /// Those later than `after` up to `until`, about `most` of them one by one.
    pub fn between(slots: &dyn Slots, after: Moment, until: Moment, most: usize) -> Self {
        let stride = STRIDE.max(2 * most);
        let Some(first) = slots.next_after(after).filter(|slot| *slot <= until) else {
            return Self { newest: Vec::new(), earlier: None };
        };
        if let Some(all) = walk(slots, after, until, stride) {
            return Self::of_all(all, most);
        }
        let from = newest_from(slots, after, until, stride, most);
        let mut newest = walk(slots, from, until, stride).unwrap_or_default();
        if newest.is_empty() {
            return Self { newest, earlier: None };
        }
        let last = newest.remove(0);
        let listed = newest.len() as u64;
        let count = match slots.count(after, until) {
            Some(all) => Count::Exactly(all.saturating_sub(listed)),
            None => Count::AtLeast((stride as u64).saturating_sub(listed)),
        };
        Self { newest, earlier: Some(Earlier { first, last, count }) }
    }

    fn of_all(mut all: Vec<Moment>, most: usize) -> Self {
        let newest = all.split_off(all.len().saturating_sub(most));
        Self { newest, earlier: Earlier::of(&all) }
    }

    /// Those that are made up for, given the first slot that is due.
    pub fn made_up(&self, rules: Rules, now: Moment, due: Option<Moment>) -> Vec<Moment> {
        let most = match rules.catch_up {
            CatchUp::Skip => 0,
            CatchUp::One if due.is_some() => 0,
            CatchUp::One => 1,
            CatchUp::All => rules.most,
        };
        let candidates = self.newest.iter().copied().filter(|slot| !rules.too_long_ago(*slot, now));
        let candidates: Vec<Moment> = candidates.collect();
        candidates[candidates.len().saturating_sub(most)..].to_vec()
    }

    /// All the others, the last `listed` of them one by one.
    pub fn skipped(&self, made_up: &[Moment], listed: usize, why: impl Fn(Moment) -> Why) -> Vec<Skipped> {
        let left: Vec<Moment> = self.newest.iter().copied().filter(|slot| !made_up.contains(slot)).collect();
        let (before, listed) = left.split_at(left.len().saturating_sub(listed));
        let mut skipped = Vec::with_capacity(listed.len() + 1);
        let earlier = match (self.earlier, Earlier::of(before)) {
            (Some(earlier), Some(more)) => Some(earlier.and(more)),
            (earlier, more) => earlier.or(more),
        };
        if let Some(Earlier { first, last, count }) = earlier {
            skipped.push(Skipped { first, last, count, why: why(first) });
        }
        let one = |slot: &Moment| Skipped { first: *slot, last: *slot, count: Count::Exactly(1), why: why(*slot) };
        skipped.extend(listed.iter().map(one));
        skipped
    }
}

impl Earlier {
    fn of(slots: &[Moment]) -> Option<Self> {
        let (first, last) = (*slots.first()?, *slots.last()?);
        Some(Self { first, last, count: Count::Exactly(slots.len() as u64) })
    }

    fn and(self, later: Self) -> Self {
        let count = match (self.count, later.count) {
            (Count::Exactly(some), Count::Exactly(more)) => Count::Exactly(some + more),
            (Count::Exactly(some) | Count::AtLeast(some), Count::Exactly(more) | Count::AtLeast(more)) => {
                Count::AtLeast(some + more)
            }
        };
        Self { first: self.first, last: later.last, count }
    }
}

/// All slots later than `after` up to `until`, unless they are more than `stride`.
fn walk(slots: &dyn Slots, after: Moment, until: Moment, stride: usize) -> Option<Vec<Moment>> {
    let mut found = Vec::new();
    let mut at = after;
    while let Some(slot) = slots.next_after(at).filter(|slot| *slot <= until) {
        if found.len() == stride {
            return None;
        }
        found.push(slot);
        at = slot;
    }
    Some(found)
}

/// A moment after which, up to `until`, lie at least `most` slots, but no more than `stride`; there are more after `after`.
/// No two slots lie within a second, so halving the time in question comes to an end.
fn newest_from(slots: &dyn Slots, after: Moment, until: Moment, stride: usize, most: usize) -> Moment {
    let (mut too_early, mut late_enough) = (after, until);
    while late_enough.micros() - too_early.micros() > 1_000_000 {
        let half = Duration::from_micros((late_enough.micros() - too_early.micros()).unsigned_abs() / 2);
        let middle = too_early.saturating_add(half);
        match walk(slots, middle, until, stride) {
            None => too_early = middle,
            Some(found) if found.len() < most => late_enough = middle,
            Some(_) => return middle,
        }
    }
    late_enough
}
