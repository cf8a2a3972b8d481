//! The cursor in a model of Postgres: transactions that take ids and end in any order, and scans under snapshots.

use std::collections::{BTreeMap, BTreeSet};

use pg_edge::domain::cursor::{Cursor, Scan, full_id};
use proptest::prelude::*;

/// One thing that happens; the numbers choose a session, or how many rows a scan may read.
#[derive(Clone, Debug)]
enum Step {
    TakeXid(usize),
    TakeId(usize),
    Commit(usize),
    Abort(usize),
    Scan(usize),
    /// A scan whose snapshot is taken only after these steps, which follow its reading of the sequence.
    SlowScan(usize, Vec<Step>),
}

#[derive(Default)]
struct Server {
    next_xid: u64,
    last_id: i64,
    /// Running transactions by session: the xid, and the ids taken.
    running: BTreeMap<usize, (u64, Vec<i64>)>,
    committed: BTreeSet<i64>,
}

impl Server {
    fn new() -> Self {
        Self { next_xid: 100, ..Self::default() }
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::TakeXid(session) => {
                self.begin(*session);
            }
            Step::TakeId(session) => {
                // The queueing function's promise: the transaction id first, then the call id.
                self.begin(*session);
                self.last_id += 1;
                let id = self.last_id;
                self.running.entry(*session).and_modify(|(_, ids)| ids.push(id));
            }
            Step::Commit(session) => {
                if let Some((_, ids)) = self.running.remove(session) {
                    self.committed.extend(ids);
                }
            }
            Step::Abort(session) => {
                self.running.remove(session);
            }
            Step::Scan(_) | Step::SlowScan(..) => {}
        }
    }

    fn begin(&mut self, session: usize) {
        let next = &mut self.next_xid;
        self.running.entry(session).or_insert_with(|| {
            *next += 1;
            (*next - 1, Vec::new())
        });
    }

    fn xmin(&self) -> u64 {
        self.running.values().map(|(xid, _)| *xid).min().unwrap_or(self.next_xid)
    }
}

/// The dispatcher's side: the cursor and what it has found.
struct Reader {
    cursor: Cursor,
    found: Vec<i64>,
}

impl Reader {
    /// Reads up to `limit` rows as `look.rs` does; tells whether it read all there were.
    fn scan(&mut self, server: &mut Server, limit: usize, meanwhile: &[Step]) -> bool {
        let last = server.last_id;
        let ranges = self.cursor.ranges(last);
        for step in meanwhile {
            server.apply(step);
        }
        let in_ranges = |id: &&i64| ranges.iter().any(|range| (range.first..=range.last).contains(*id));
        let seen: Vec<i64> = server.committed.iter().filter(in_ranges).copied().take(limit).collect();
        let stopped_early = seen.len() >= limit;
        let covered = if stopped_early { seen.last().copied().unwrap_or(last) } else { last };
        let before = self.cursor.floor();
        self.cursor.observe(&Scan { covered, xmin: server.xmin(), next_xid: server.next_xid, seen: &seen });
        assert!(self.cursor.floor() >= before, "the floor went back");
        self.found.extend(&seen);
        !stopped_early
    }
}

fn simulate(steps: &[Step]) {
    let mut server = Server::new();
    let mut reader = Reader { cursor: Cursor::starting_at(1), found: Vec::new() };
    for step in steps {
        match step {
            Step::Scan(limit) => {
                reader.scan(&mut server, *limit, &[]);
            }
            Step::SlowScan(limit, meanwhile) => {
                reader.scan(&mut server, *limit, meanwhile);
            }
            other => server.apply(other),
        }
        // What is committed and not found yet lies at or above the floor, where the next scan looks.
        let floor = reader.cursor.floor();
        let missed = server.committed.iter().find(|id| **id < floor && !reader.found.contains(id));
        assert_eq!(missed, None, "a committed call lies below the floor {floor}");
    }
    let sessions: Vec<usize> = server.running.keys().copied().collect();
    for session in sessions {
        server.apply(&Step::Commit(session));
    }
    while !reader.scan(&mut server, 2, &[]) {}
    let mut found = reader.found.clone();
    found.sort_unstable();
    let committed: Vec<i64> = server.committed.iter().copied().collect();
    assert_eq!(found, committed, "each committed call is found exactly once");
    // Everybody has ended, so two more looks leave no gap.
    reader.scan(&mut server, usize::MAX, &[]);
    reader.scan(&mut server, usize::MAX, &[]);
    assert!(!reader.cursor.has_gaps(), "gaps stay open for ever");
    assert_eq!(reader.cursor.floor(), server.last_id + 1);
}

fn plain_step() -> impl Strategy<Value = Step> {
    let session = 0..4usize;
    prop_oneof![
        1 => session.clone().prop_map(Step::TakeXid),
        4 => session.clone().prop_map(Step::TakeId),
        3 => session.clone().prop_map(Step::Commit),
        1 => session.prop_map(Step::Abort),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => plain_step(),
        2 => (1..5usize).prop_map(Step::Scan),
        1 => ((1..5usize), prop::collection::vec(plain_step(), 0..4)).prop_map(|(limit, steps)| Step::SlowScan(limit, steps)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_committed_call_is_found_exactly_once(steps in prop::collection::vec(step(), 0..60)) {
        simulate(&steps);
    }
}

#[test]
fn every_order_of_a_few_steps_finds_every_call() {
    let steps = [
        Step::TakeXid(0),
        Step::TakeId(0),
        Step::Commit(0),
        Step::TakeId(1),
        Step::Abort(1),
        Step::TakeId(1),
        Step::Scan(1),
        Step::Scan(9),
        Step::SlowScan(9, vec![Step::TakeId(2), Step::Commit(0)]),
        Step::Commit(2),
    ];
    // All sequences of five of the ten steps: a hundred thousand short histories.
    for code in 0..100_000usize {
        let digits = [code, code / 10, code / 100, code / 1_000, code / 10_000];
        simulate(&digits.map(|digit| steps[digit % 10].clone()));
    }
}

#[test]
fn a_gap_stays_open_until_its_transaction_has_ended() {
    let mut cursor = Cursor::starting_at(1);
    cursor.observe(&Scan { covered: 3, xmin: 10, next_xid: 12, seen: &[2] });
    assert_eq!(cursor.floor(), 1);
    cursor.observe(&Scan { covered: 3, xmin: 11, next_xid: 20, seen: &[1] });
    assert_eq!((cursor.floor(), cursor.has_gaps()), (3, true));
    cursor.observe(&Scan { covered: 3, xmin: 12, next_xid: 20, seen: &[] });
    assert_eq!((cursor.floor(), cursor.has_gaps()), (4, false));
}

#[test]
fn a_short_transaction_id_is_one_of_the_last_four_thousand_million() {
    assert_eq!(full_id(7, (3 << 32) + 9), (3 << 32) + 7);
    assert_eq!(full_id(9, (3 << 32) + 9), (3 << 32) + 9);
    assert_eq!(full_id(u32::MAX, (3 << 32) + 9), (3 << 32) - 1);
}
