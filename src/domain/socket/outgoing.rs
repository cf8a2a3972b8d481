//! The messages of one connection on their way to the peer.
//!
//! In memory is a window of them, the rest is on disk. Everything that waits in memory comes before everything on disk, so
//! order needs no more than that each part is in order. What was handed over and not taken when a connection was lost is
//! handed over again, in its old place.

use std::collections::VecDeque;

/// So many messages, or bytes of them, are kept in memory.
const MOST: usize = 512;
const MOST_BYTES: usize = 1 << 20;

/// What is to be known of a message.
pub trait Message {
    /// Its number.
    fn id(&self) -> i64;
    /// What it takes in memory.
    fn size(&self) -> usize;
}

/// The messages of one connection.
#[derive(Clone, Debug)]
pub struct Outgoing<M> {
    /// In rising order.
    waiting: VecDeque<M>,
    /// Handed over to the present connection, and not taken yet, in the order in which they were.
    untaken: VecDeque<M>,
    bytes: usize,
    /// From this id on, messages that are not in memory may be on disk.
    spilled_from: Option<i64>,
}

impl<M> Default for Outgoing<M> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), untaken: VecDeque::new(), bytes: 0, spilled_from: None }
    }
}

impl<M: Message> Outgoing<M> {
    /// A message has been found. One that commits late may have a lower id than others, and then goes before those that wait.
    pub fn admit(&mut self, message: M) {
        if self.spilled_from.is_some_and(|from| message.id() >= from) {
            return;
        }
        self.bytes += message.size();
        let place = self.waiting.partition_point(|other| other.id() < message.id());
        self.waiting.insert(place, message);
        self.spill();
    }

    /// A message has been found that is to stay on disk until there is room for it.
    pub fn leave_on_disk(&mut self, id: i64) {
        while self.waiting.back().is_some_and(|last| last.id() > id) {
            self.spill_last();
        }
        self.spilled_from = Some(self.spilled_from.map_or(id, |from| from.min(id)));
    }

    /// Whether a message of this size would find room.
    pub fn has_room(&self, size: usize) -> bool {
        self.held() == 0 || (self.held() < MOST && self.bytes + size <= MOST_BYTES)
    }

    /// From which id on messages are to be read from disk, how many, and how many bytes of them: where there are any and
    /// half of the window is free.
    pub fn wants(&self) -> Option<(i64, usize, usize)> {
        let from = self.spilled_from?;
        let has_room = self.held() <= MOST / 2 && self.bytes <= MOST_BYTES / 2;
        has_room.then(|| (from, MOST - self.held(), MOST_BYTES - self.bytes))
    }

    /// These were read from disk, in order, and `last` tells whether any are left there. None of them is in memory.
    pub fn refill(&mut self, messages: Vec<M>, rest: Rest) {
        let next = messages.last().map(|last| last.id() + 1);
        self.spilled_from = match rest {
            Rest::None => None,
            Rest::Some => next.or(self.spilled_from),
        };
        for message in messages {
            self.bytes += message.size();
            self.waiting.push_back(message);
        }
    }

    /// Those that are handed over now: all that wait in memory.
    pub fn hand_over(&mut self) -> impl Iterator<Item = &M> {
        let from = self.untaken.len();
        self.untaken.append(&mut self.waiting);
        self.untaken.iter().skip(from)
    }

    /// The peer has taken so many more of those that were handed over.
    pub fn taken(&mut self, count: usize) -> Vec<M> {
        let count = count.min(self.untaken.len());
        let taken: Vec<M> = self.untaken.drain(..count).collect();
        self.bytes -= taken.iter().map(Message::size).sum::<usize>();
        taken
    }

    /// The connection is lost, and what was not taken is to be handed over again, in its place among the others: before all
    /// of them, but for those with lower ids that were found later.
    pub fn lost(&mut self) {
        self.waiting.extend(self.untaken.drain(..));
        self.waiting.make_contiguous().sort_by_key(Message::id);
        while self.waiting.back().zip(self.spilled_from).is_some_and(|(last, from)| last.id() >= from) {
            self.bytes -= self.waiting.pop_back().map_or(0, |last| last.size());
        }
        self.spill();
    }

    /// None of them will be sent any more: takes those in memory out. Those on disk are left to whoever asked for it.
    pub fn give_up(&mut self) -> Vec<M> {
        self.bytes = 0;
        self.untaken.drain(..).chain(self.waiting.drain(..)).collect()
    }

    /// Nothing of it is on disk any more.
    pub fn forget_disk(&mut self) {
        self.spilled_from = None;
    }

    /// Below this id, every message of it has been taken, as far as it was found.
    pub fn floor(&self) -> i64 {
        let in_memory = self.in_memory().map(Message::id).min();
        in_memory.into_iter().chain(self.spilled_from).min().unwrap_or(i64::MAX)
    }

    /// From which id on there may be some on disk.
    pub fn spilled_from(&self) -> Option<i64> {
        self.spilled_from
    }

    /// All in memory, those that were handed over first.
    pub fn in_memory(&self) -> impl Iterator<Item = &M> {
        self.untaken.iter().chain(&self.waiting)
    }

    /// The same, to be changed.
    pub fn in_memory_mut(&mut self) -> impl Iterator<Item = &mut M> {
        self.untaken.iter_mut().chain(&mut self.waiting)
    }

    /// What there is to be sent.
    pub fn load(&self) -> Load {
        Load {
            waiting: if self.waiting.is_empty() && self.spilled_from.is_none() { Rest::None } else { Rest::Some },
            untaken: if self.untaken.is_empty() { Rest::None } else { Rest::Some },
        }
    }

    /// Whether some wait in memory.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn held(&self) -> usize {
        self.waiting.len() + self.untaken.len()
    }

    /// Gives back to disk what is beyond the window: the last ones, but never the only one, and none that was handed over.
    fn spill(&mut self) {
        while self.waiting.len() > 1 && (self.held() > MOST || self.bytes > MOST_BYTES) {
            self.spill_last();
        }
    }

    fn spill_last(&mut self) {
        if let Some(last) = self.waiting.pop_back() {
            self.bytes -= last.size();
            self.spilled_from = Some(last.id());
        }
    }
}

/// What of the messages there is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Those that have not been handed over.
    pub waiting: Rest,
    /// Those that have been, and have not been taken.
    pub untaken: Rest,
}

/// Whether there are any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// There are none.
    None,
    /// There are some.
    Some,
}
