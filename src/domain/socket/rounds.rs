//! Who is served next, where there are many who ask for many things: one of each in turn.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Things that are asked for, each by somebody. Whoever asks for much waits for himself, and not the others for him.
#[derive(Debug)]
pub struct Rounds<W, T> {
    /// What each asks for, in the order of asking.
    asked: BTreeMap<W, BTreeMap<u64, T>>,
    /// Whose each thing is, and its number in that order.
    whose: HashMap<T, (W, u64)>,
    next_number: u64,
    /// Who was served last.
    last: Option<W>,
}

impl<W, T> Default for Rounds<W, T> {
    fn default() -> Self {
        Self { asked: BTreeMap::new(), whose: HashMap::new(), next_number: 0, last: None }
    }
}

impl<W: Copy + Ord, T: Copy + Eq + Hash> Rounds<W, T> {
    /// Somebody asks for something. Nothing changes where it is asked for already.
    pub fn insert(&mut self, who: W, thing: T) {
        if self.whose.contains_key(&thing) {
            return;
        }
        self.whose.insert(thing, (who, self.next_number));
        self.asked.entry(who).or_default().insert(self.next_number, thing);
        self.next_number += 1;
    }

    /// It is not asked for any more.
    pub fn remove(&mut self, thing: &T) {
        let Some((who, number)) = self.whose.remove(thing) else { return };
        if let Some(asked) = self.asked.get_mut(&who) {
            asked.remove(&number);
            if asked.is_empty() {
                self.asked.remove(&who);
            }
        }
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.whose.is_empty()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The next so many things, one of each who asks in turn, beginning behind who was served last. They are asked for until
    /// they are removed.
    pub fn next(&mut self, most: usize) -> Vec<T> {
        let is_behind = |who: &W| self.last.is_none_or(|last| *who > last);
        let (behind, before): (Vec<_>, Vec<_>) = self.asked.iter().partition(|(who, _)| is_behind(who));
        let mut queues: Vec<_> = behind.into_iter().chain(before).map(|(who, asked)| (*who, asked.values())).collect();
        let (mut next, mut last) = (Vec::new(), self.last);
        while !queues.is_empty() && next.len() < most {
            queues.retain_mut(|(who, queue)| {
                if next.len() >= most {
                    return true;
                }
                let thing = queue.next();
                next.extend(thing);
                last = if thing.is_some() { Some(*who) } else { last };
                thing.is_some()
            });
        }
        self.last = last;
        next
    }
}
