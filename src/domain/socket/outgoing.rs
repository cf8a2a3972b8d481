//! The messages of one connection on their way to the peer.
//!
//! In memory is a window of them, the rest is on disk. All that wait in memory come before all on disk, so order needs no
//! more than that each part is in order. Of one that is handed over only a mark is kept: should the connection be lost before
//! it is taken, it is read from disk again, in its old place.

use std::collections::VecDeque;

use super::message::Payload;
use super::plan;

/// So many messages, or bytes of them, are on their way at once.
const MOST: usize = 512;
const MOST_BYTES: usize = 1 << 20;

/// Which message, and where it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its number.
    pub id: i64,
    /// The slot of the ring that it is in.
    pub slot: i16,
    /// What it takes in memory.
    pub size: usize,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Which one.
    pub mark: Mark,
    /// What it says.
    pub payload: Payload,
}

/// The messages of one connection.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    /// In rising order.
    waiting: VecDeque<Letter>,
    /// Handed over, and not taken yet, in the order in which they were.
    untaken: VecDeque<Mark>,
    bytes: usize,
    /// From this id on, messages that are not in memory may be on disk.
    spilled_from: Option<i64>,
}

/// Which messages are to be read from disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appetite {
    /// From this id on.
    pub from: i64,
    /// At most so many.
    pub most: usize,
    /// No further one once there are so many bytes.
    pub most_bytes: usize,
    /// These are on their way.
    pub but: Vec<i64>,
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

impl Outgoing {
    /// A message has been found. One that commits late may have a lower id than others, and then goes before those that wait.
    pub fn admit(&mut self, letter: Letter) {
        let Mark { id, size, .. } = letter.mark;
        if !self.has_room(size) || self.spilled_from.is_some_and(|from| id >= from) {
            return self.leave_on_disk(id);
        }
        self.bytes += size;
        let place = self.waiting.partition_point(|other| other.mark.id < id);
        self.waiting.insert(place, letter);
    }

    /// A message has been found that stays on disk until there is room for it.
    pub fn leave_on_disk(&mut self, id: i64) {
        while let Some(last) = self.waiting.pop_back_if(|last| last.mark.id > id) {
            self.bytes -= last.mark.size;
        }
        self.spilled_from = Some(self.spilled_from.map_or(id, |from| from.min(id)));
    }

    /// What is to be read from disk, where something may be there and half of the window is free.
    pub fn appetite(&self) -> Option<Appetite> {
        let from = self.spilled_from?;
        let has_room = self.held() <= MOST / 2 && self.bytes <= MOST_BYTES / 2;
        let but = || self.untaken.iter().map(|mark| mark.id).filter(|id| *id >= from).collect();
        has_room.then(|| Appetite { from, most: MOST - self.held(), most_bytes: MOST_BYTES - self.bytes, but: but() })
    }

    /// These were read from disk, in order. From `next` on there may be more.
    pub fn refill(&mut self, letters: Vec<Letter>, next: Option<i64>) {
        self.spilled_from = next;
        self.bytes += letters.iter().map(|letter| letter.mark.size).sum::<usize>();
        self.waiting.extend(letters);
    }

    /// Hands over all that wait in memory.
    pub fn hand_over(&mut self) -> Vec<plan::Outgoing> {
        self.untaken.extend(self.waiting.iter().map(|letter| letter.mark));
        let handed_over = |Letter { mark, payload }| plan::Outgoing { id: mark.id, payload };
        self.waiting.drain(..).map(handed_over).collect()
    }

    /// The peer has taken so many more of those that were handed over.
    pub fn taken(&mut self, count: usize) -> Vec<Mark> {
        let taken: Vec<Mark> = self.untaken.drain(..count.min(self.untaken.len())).collect();
        self.bytes -= taken.iter().map(|mark| mark.size).sum::<usize>();
        taken
    }

    /// The connection is lost: what was not taken is to be handed over again. Until there is another, all stay on disk.
    pub fn lost(&mut self) {
        let first = self.in_memory().map(|mark| mark.id).min();
        self.spilled_from = first.into_iter().chain(self.spilled_from).min();
        self.waiting.clear();
        self.untaken.clear();
        self.bytes = 0;
    }

    /// None of them will be sent any more. From this id on, those that were not taken are on disk.
    pub fn give_up(&mut self) -> Option<i64> {
        self.lost();
        self.spilled_from.take()
    }

    /// Below this id, every message of it has been taken, as far as it was found.
    pub fn floor(&self) -> i64 {
        self.in_memory().map(|mark| mark.id).chain(self.spilled_from).min().unwrap_or(i64::MAX)
    }

    /// All in memory.
    pub fn in_memory(&self) -> impl Iterator<Item = &Mark> {
        self.untaken.iter().chain(self.waiting.iter().map(|letter| &letter.mark))
    }

    /// The ring has moved on, and messages of one slot have gone into another.
    pub fn move_slot(&mut self, from: i16, to: i16) {
        let waiting = self.waiting.iter_mut().map(|letter| &mut letter.mark);
        for mark in self.untaken.iter_mut().chain(waiting).filter(|mark| mark.slot == from) {
            mark.slot = to;
        }
    }

    /// What there is to be sent.
    pub fn load(&self) -> Load {
        let any = |is_none: bool| if is_none { Rest::None } else { Rest::Some };
        Load {
            waiting: any(self.waiting.is_empty() && self.spilled_from.is_none()),
            untaken: any(self.untaken.is_empty()),
        }
    }

    /// Whether some wait in memory.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// One that is larger than all the window goes alone.
    fn has_room(&self, size: usize) -> bool {
        self.held() == 0 || (self.held() < MOST && self.bytes + size <= MOST_BYTES)
    }

    fn held(&self) -> usize {
        self.waiting.len() + self.untaken.len()
    }
}
