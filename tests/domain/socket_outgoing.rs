//! The messages of a connection in a model of the table that they are kept in.

use std::collections::{BTreeMap, BTreeSet};

use pg_edge::domain::socket::message::Payload;
use pg_edge::domain::socket::outgoing::{Letter, Mark, Outgoing, Rest};
use proptest::prelude::*;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// So many messages are committed, each the so-manieth id from the end: 0 is a new one, others come late.
    Commit(Vec<u8>),
    Find,
    Refill,
    HandOver,
    Take(usize),
    Lose,
}

#[derive(Default)]
struct Table {
    committed: BTreeSet<i64>,
    /// When each was found.
    found: BTreeMap<i64, usize>,
    /// Found, and not taken.
    unsent: BTreeSet<i64>,
    taken: Vec<i64>,
    /// Ids that were handed out, and have not been committed.
    running: Vec<i64>,
    last_id: i64,
    size: usize,
}

struct Model {
    table: Table,
    outgoing: Outgoing,
    /// What the present connection was given and when, and how much of it was taken.
    given: Vec<(i64, usize)>,
    taken_of_given: usize,
    clock: usize,
}

impl Model {
    fn new(size: usize) -> Self {
        let table = Table { size, ..Table::default() };
        Self { table, outgoing: Outgoing::default(), given: Vec::new(), taken_of_given: 0, clock: 0 }
    }

    fn letter(&self, id: i64) -> Letter {
        let mark = Mark { id, slot: 0, size: self.table.size };
        Letter { mark, payload: Payload::Text(id.to_string()) }
    }

    fn apply(&mut self, step: &Step) {
        self.clock += 1;
        match step {
            Step::Commit(which) => {
                for back in which {
                    self.table.last_id += 1;
                    self.table.running.push(self.table.last_id);
                    let place = self.table.running.len().saturating_sub(1 + usize::from(*back));
                    let id = self.table.running.remove(place);
                    self.table.committed.insert(id);
                }
            }
            Step::Find => {
                let is_new = |id: &i64| !self.table.found.contains_key(id);
                let new: Vec<i64> = self.table.committed.iter().copied().filter(is_new).collect();
                for id in new {
                    self.table.found.insert(id, self.clock);
                    self.table.unsent.insert(id);
                    let letter = self.letter(id);
                    self.outgoing.admit(letter);
                }
            }
            Step::Refill => self.refill(),
            Step::HandOver => {
                for handed in self.outgoing.hand_over() {
                    assert_eq!(handed.payload, Payload::Text(handed.id.to_string()));
                    self.note_given(handed.id);
                }
            }
            Step::Take(count) => {
                let count = (*count).min(self.given.len() - self.taken_of_given);
                let taken: Vec<i64> = self.outgoing.taken(count).iter().map(|mark| mark.id).collect();
                let given = &self.given[self.taken_of_given..self.taken_of_given + count];
                assert_eq!(taken, given.iter().map(|(id, _)| *id).collect::<Vec<_>>());
                self.taken_of_given += count;
                taken.iter().for_each(|id| assert!(self.table.unsent.remove(id), "{id} is taken twice"));
                self.table.taken.extend(taken);
            }
            Step::Lose => {
                self.outgoing.lost();
                self.given.clear();
                self.taken_of_given = 0;
            }
        }
        self.check();
    }

    /// As the statement does that reads what is on disk: whatever has been found, has not been taken, and is not on its way.
    fn refill(&mut self) {
        let Some(appetite) = self.outgoing.appetite() else { return };
        let on_disk = self.table.unsent.range(appetite.from..).copied();
        let mut ids: Vec<i64> = on_disk.filter(|id| !appetite.but.contains(id)).take(600).collect();
        let by_bytes = appetite.most_bytes.div_ceil(self.table.size).max(1);
        let most = appetite.most.min(by_bytes);
        let is_cut = ids.len() >= most;
        ids.truncate(most);
        let next = ids.last().filter(|_| is_cut).map(|last| last + 1);
        let letters = ids.iter().map(|id| self.letter(*id)).collect();
        self.outgoing.refill(letters, next);
    }

    /// None twice over one connection, and one before a lower id only where that had not been found.
    fn note_given(&mut self, id: i64) {
        let found = self.table.found[&id];
        for (earlier, given_at) in &self.given {
            assert_ne!(*earlier, id, "it is handed over twice");
            assert!(*earlier < id || *given_at < found, "{earlier} has overtaken {id}");
        }
        self.given.push((id, self.clock));
    }

    fn check(&self) {
        // Below the floor, all that were found have been taken.
        let floor = self.outgoing.floor();
        let unsent = self.table.unsent.first();
        assert!(unsent.is_none_or(|unsent| *unsent >= floor), "{unsent:?} is below {floor}");
        assert!(self.outgoing.in_memory().count() <= 512);
    }

    /// Whatever had happened, in the end everything is taken, once.
    fn finish(mut self) {
        self.apply(&Step::Find);
        for _ in 0..self.table.committed.len() + 10 {
            self.apply(&Step::Refill);
            self.apply(&Step::HandOver);
            self.apply(&Step::Take(usize::MAX));
            if self.outgoing.load().waiting == Rest::None {
                break;
            }
        }
        let mut taken = self.table.taken.clone();
        taken.sort_unstable();
        assert_eq!(taken, self.table.committed.iter().copied().collect::<Vec<_>>());
        assert_eq!(self.outgoing.floor(), i64::MAX);
        assert_eq!(self.outgoing.load().untaken, Rest::None);
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let back = prop_oneof![6 => Just(0_u8), 1 => 1_u8..4];
    let step = prop_oneof![
        4 => prop::collection::vec(back, 1..40).prop_map(Step::Commit),
        1 => prop::collection::vec(Just(0_u8), 500..600).prop_map(Step::Commit),
        4 => Just(Step::Find),
        3 => Just(Step::Refill),
        4 => Just(Step::HandOver),
        3 => (0_usize..300).prop_map(Step::Take),
        1 => Just(Step::Lose),
    ];
    prop::collection::vec(step, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn each_message_is_handed_over_in_order_and_none_is_forgotten(steps in steps(), size in prop::sample::select(vec![1, 10_000, 600_000])) {
        let mut model = Model::new(size);
        for step in &steps {
            model.apply(step);
        }
        model.finish();
    }
}

fn letter(id: i64, size: usize) -> Letter {
    Letter { mark: Mark { id, slot: 0, size }, payload: Payload::Text(String::new()) }
}

fn ids(outgoing: &mut Outgoing) -> Vec<i64> {
    outgoing.hand_over().into_iter().map(|handed| handed.id).collect()
}

#[test]
fn a_late_message_goes_before_those_that_wait() {
    let mut outgoing = Outgoing::default();
    for id in [5, 7, 6, 2] {
        outgoing.admit(letter(id, 1));
    }
    assert_eq!(ids(&mut outgoing), [2, 5, 6, 7]);
}

#[test]
fn one_that_is_larger_than_the_window_goes_alone() {
    let mut outgoing = Outgoing::default();
    outgoing.admit(letter(1, 5 << 20));
    outgoing.admit(letter(2, 1));
    assert_eq!(ids(&mut outgoing), [1]);
    assert!(outgoing.appetite().is_none());
    outgoing.taken(1);
    assert_eq!(outgoing.appetite().map(|appetite| appetite.from), Some(2));
}

#[test]
fn nothing_follows_past_one_that_is_left_on_disk() {
    let mut outgoing = Outgoing::default();
    outgoing.admit(letter(1, 1));
    outgoing.leave_on_disk(2);
    outgoing.admit(letter(3, 1));
    assert_eq!(ids(&mut outgoing), [1]);
    assert_eq!(outgoing.floor(), 1);
    outgoing.taken(1);
    assert_eq!(outgoing.floor(), 2);
}

#[test]
fn what_was_not_taken_is_read_again_after_a_loss() {
    let mut outgoing = Outgoing::default();
    for id in 1..=4 {
        outgoing.admit(letter(id, 1));
    }
    ids(&mut outgoing);
    assert_eq!(outgoing.taken(1).len(), 1);
    outgoing.lost();
    assert_eq!(outgoing.appetite().map(|appetite| (appetite.from, appetite.but)), Some((2, Vec::new())));
    assert_eq!(outgoing.give_up(), Some(2));
    assert_eq!(outgoing.floor(), i64::MAX);
}

#[test]
fn a_slot_that_moves_on_takes_its_messages_along() {
    let mut outgoing = Outgoing::default();
    outgoing.admit(letter(1, 1));
    ids(&mut outgoing);
    outgoing.admit(letter(2, 1));
    outgoing.move_slot(0, 7);
    assert!(outgoing.in_memory().all(|mark| mark.slot == 7));
}
