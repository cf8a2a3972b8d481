//! Calls that wait on disk, because their lanes cannot send them soon: given up, noted, and taken back.

use std::time::SystemTime;

use super::{Appetite, Backlog, LaneName, OnDisk};
use crate::domain::lane::Memory;
use crate::domain::tally::Kind;

impl<T> Backlog<T> {
    /// Takes back calls that had been spilled. `rest` tells of which kinds more of the lane are still on disk.
    pub fn refill(&mut self, lane: &LaneName, now: SystemTime, calls: Vec<(Kind, T)>, rest: OnDisk) {
        self.lane(lane).on_disk = rest;
        for (kind, call) in calls {
            self.push(lane, kind, now, call);
        }
    }

    /// Notes that calls of a lane wait on disk.
    pub fn note_spilled(&mut self, lane: &LaneName, kind: Kind) {
        self.lane(lane).on_disk.note(kind);
    }

    /// The lanes that have calls on disk and could send more than waits in memory, and how many more, if there is room for them.
    pub fn hungry(&self, now: SystemTime) -> Vec<(LaneName, Appetite)> {
        if self.room() < 2 {
            return Vec::new();
        }
        let room = self.places(now);
        let hungry = self.lanes.iter().map(|(name, lane)| (name, lane.appetite(&room, now)));
        hungry
            .filter(|(_, appetite)| *appetite != Appetite::default())
            .map(|(name, appetite)| (name.clone(), appetite))
            .collect()
    }

    /// Gives up the waiting calls that their lanes cannot send soon, if memory is short or some have waited long.
    ///
    /// Meant to be called a few times a second: each lane keeps five times what it did since the last call.
    pub fn spill(&mut self, now: SystemTime) -> Vec<(LaneName, T)> {
        let mut spilled = Vec::new();
        let is_short = self.waiting * 4 > self.capacity.window * 3;
        let memory = if is_short { Memory::Short } else { Memory::Ample };
        for (name, lane) in &mut self.lanes {
            spilled.extend(lane.spill(memory, now).into_iter().map(|call| (name.clone(), call)));
        }
        self.waiting -= spilled.len();
        self.tidy(now);
        spilled
    }

    /// Forgets lanes that hold nothing, so that a million origins do not stay in memory.
    fn tidy(&mut self, now: SystemTime) {
        self.lanes.retain(|_, lane| !lane.is_idle(now));
        let lanes = &self.lanes;
        self.rotation.retain(|name| lanes.get(name).is_some_and(|lane| lane.waiting() > 0));
    }
}
