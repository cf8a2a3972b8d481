//! Which queued calls have been seen, and where one may still appear.
//!
//! Ids come from a sequence but commit in any order, so "everything above the last id I saw" would lose the
//! calls of a transaction that commits late. Two facts close the hole without writing a row:
//!
//! 1. The queueing function takes its transaction id *before* its call id. So whoever holds an id up to the
//!    sequence's value has a transaction id below the one that is handed out next after that value was read. (A
//!    snapshot's `xmax` will not do: it is one above the last transaction that has *ended*, and running ones with
//!    higher ids may hold calls.)
//! 2. Once a later snapshot's `xmin` has reached that next id, all those transactions have ended. What a scan under
//!    that snapshot does not see will never come.
//!
//! The cursor is told what each scan covered and saw; it answers where to look next.

use std::collections::BTreeMap;

/// A closed range of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// The first id.
    pub first: i64,
    /// The last id, not below `first`.
    pub last: i64,
}

/// What a scan did.
#[derive(Clone, Debug)]
pub struct Scan<'a> {
    /// Every id in the asked ranges up to here was looked at.
    pub covered: i64,
    /// Below this, every transaction had ended when the scan's snapshot was taken.
    pub xmin: u64,
    /// The transaction id that was to be handed out next, read after the sequence's value.
    pub next_xid: u64,
    /// The ids that were found, in rising order.
    pub seen: &'a [i64],
}

/// The state between scans.
#[derive(Clone, Debug)]
pub struct Cursor {
    /// The least id that no scan has covered.
    next: i64,
    /// Ids that a scan covered and did not see, by first id.
    gaps: BTreeMap<i64, Gap>,
}

#[derive(Clone, Copy, Debug)]
struct Gap {
    last: i64,
    /// Whoever holds an id of this gap has a transaction id below this.
    closes_at: u64,
}

impl Cursor {
    /// A cursor that has seen nothing at or above `first`.
    pub fn starting_at(first: i64) -> Self {
        Self { next: first, gaps: BTreeMap::new() }
    }

    /// Below this id nothing new can appear.
    pub fn floor(&self) -> i64 {
        self.gaps.keys().next().copied().unwrap_or(self.next)
    }

    /// The highest id that a scan has covered.
    pub fn covered(&self) -> i64 {
        self.next - 1
    }

    /// Whether calls may still appear below the highest id covered.
    pub fn has_gaps(&self) -> bool {
        !self.gaps.is_empty()
    }

    /// Where to look, given the sequence's value read before the snapshot is taken.
    pub fn ranges(&self, last_handed_out: i64) -> Vec<IdRange> {
        let mut ranges: Vec<_> =
            self.gaps.iter().map(|(first, gap)| IdRange { first: *first, last: gap.last }).collect();
        if last_handed_out >= self.next {
            ranges.push(IdRange { first: self.next, last: last_handed_out });
        }
        ranges
    }

    /// Takes in what a scan of [`Cursor::ranges`] covered and saw.
    pub fn observe(&mut self, scan: &Scan<'_>) {
        let looked_at: Vec<(i64, Gap)> = self.gaps.range(..=scan.covered).map(|(first, gap)| (*first, *gap)).collect();
        for (first, gap) in looked_at {
            self.gaps.remove(&first);
            let last = gap.last.min(scan.covered);
            if scan.xmin < gap.closes_at {
                self.note_unseen(IdRange { first, last }, scan.seen, gap.closes_at);
            }
            if gap.last > last {
                // The scan stopped inside this gap: its rest was not looked at.
                self.gaps.insert(last + 1, gap);
            }
        }
        if scan.covered >= self.next {
            let fresh = IdRange { first: self.next, last: scan.covered };
            self.note_unseen(fresh, scan.seen, scan.next_xid);
            self.next = scan.covered + 1;
        }
    }

    /// Remembers the ids of `range` that are not among `seen`.
    fn note_unseen(&mut self, range: IdRange, seen: &[i64], closes_at: u64) {
        let from = seen.partition_point(|id| *id < range.first);
        let mut first = range.first;
        for id in seen[from..].iter().copied().take_while(|id| *id <= range.last) {
            if id > first {
                self.gaps.insert(first, Gap { last: id - 1, closes_at });
            }
            first = id + 1;
        }
        if first <= range.last {
            self.gaps.insert(first, Gap { last: range.last, closes_at });
        }
    }
}

/// The full form of a transaction's short id, given the full id that is handed out next: the last one before it that
/// ends in the short id.
pub fn full_id(short: u32, next: u64) -> u64 {
    let behind = (next as u32).wrapping_sub(short);
    next.saturating_sub(behind.into())
}
