//! The calls that wait in memory, one lane an endpoint, so that no endpoint delays another.
//!
//! A lane sends at most its share at once, and never more than there are free places left over in all: each
//! hanging endpoint so takes a shrinking part. Lanes that have not answered lately get half of all places together, and
//! all but an eighth for one call each, so that any number of dead endpoints leaves room for those that answer. What a
//! lane cannot send soon is spilled (the caller writes it down and forgets it), so that neither memory nor the window
//! fills with the calls of one slow endpoint.

mod spilling;
mod status;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

pub use self::status::LaneStatus;
use super::breaker::BreakerRules;
pub use super::lane::{Appetite, OnDisk, Rest};
use super::lane::{Lane, Room};
use super::lane_policy::{Capacity, LanePolicy};
use super::quota::Allowance;
use super::tally::{CallEnd, Ended, Kind};

/// The name of a lane: an endpoint's own, or for a bare URL its origin.
pub type LaneName = Arc<str>;

/// What became of a call that was to wait.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission<T> {
    /// It waits in memory.
    Waiting,
    /// Its lane is spilled: calls before it wait on disk, so it has to queue up behind them.
    Spilled(T),
}

/// Calls waiting in memory, by endpoint.
#[derive(Debug)]
pub struct Backlog<T> {
    capacity: Capacity,
    breaker: BreakerRules,
    lanes: HashMap<LaneName, Lane<T>>,
    /// Lanes with waiting calls; the front one is served next.
    rotation: VecDeque<LaneName>,
    touched: Vec<LaneName>,
    waiting: usize,
    in_flight: usize,
}

impl<T> Backlog<T> {
    /// Nothing waits.
    pub fn new(capacity: Capacity, breaker: BreakerRules) -> Self {
        let (lanes, rotation, touched) = (HashMap::new(), VecDeque::new(), Vec::new());
        Self { capacity, breaker, lanes, rotation, touched, waiting: 0, in_flight: 0 }
    }

    /// Changes the limits; what already runs or waits stays.
    pub fn set_limits(&mut self, capacity: Capacity, breaker: BreakerRules) {
        (self.capacity, self.breaker) = (capacity, breaker);
    }

    /// Has a lane follow a policy; without one, what holds for all.
    pub fn configure(&mut self, lane: &LaneName, policy: Option<LanePolicy>, now: SystemTime) {
        self.lane(lane).configure(policy, now);
        self.touch(lane);
    }

    /// Says what is left of a lane's quota; without one, nothing is counted.
    pub fn allow(&mut self, lane: &LaneName, allowance: Option<Allowance>) {
        self.lane(lane).allowance = allowance;
        self.touch(lane);
    }

    /// An attempt of a lane that was counted has not been made.
    pub fn refund(&mut self, lane: &LaneName) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.refund();
        }
    }

    /// How many more calls may be admitted.
    pub fn room(&self) -> usize {
        self.capacity.window.saturating_sub(self.waiting)
    }

    /// How many calls wait in memory.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many calls are on the wire.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Lets a call wait behind those of its lane.
    pub fn admit(&mut self, lane: &LaneName, kind: Kind, now: SystemTime, call: T) -> Admission<T> {
        if self.lane(lane).on_disk.of(kind) == Rest::Some {
            return Admission::Spilled(call);
        }
        self.push(lane, kind, now, call);
        Admission::Waiting
    }

    /// Whether a call may be sent now.
    pub fn can_send(&self, now: SystemTime) -> bool {
        let room = self.places(now);
        self.rotation.iter().any(|name| self.lanes.get(name).is_some_and(|lane| lane.can_send(&room, now)))
    }

    /// Takes up to `limit` calls that may be sent now, one a lane in turn. They count as on the wire from here on.
    pub fn take(&mut self, now: SystemTime, limit: usize) -> Vec<(LaneName, T)> {
        let mut taken = Vec::new();
        let mut passed_over = 0;
        let mut room = self.places(now);
        while taken.len() < limit && passed_over < self.rotation.len() {
            let Some(name) = self.rotation.pop_front() else { break };
            // The rotation names only lanes that exist; a name without a lane is dropped.
            let Some(lane) = self.lanes.get_mut(&name) else { continue };
            if lane.waiting() == 0 {
                continue;
            }
            let Some(call) = lane.take(&room, now) else {
                passed_over += 1;
                self.rotation.push_back(name);
                continue;
            };
            room.free -= 1;
            room.untrusted += usize::from(!lane.is_trusted(now));
            self.in_flight += 1;
            self.waiting -= 1;
            passed_over = 0;
            if lane.waiting() > 0 {
                self.rotation.push_back(name.clone());
            }
            self.touch(&name);
            taken.push((name, call));
        }
        taken
    }

    /// Frees the place of a call that was taken and does not go out.
    pub fn recall(&mut self, name: &LaneName, kind: Kind) {
        let Some(lane) = self.lanes.get_mut(name) else { return };
        lane.recall(kind);
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Takes back a call that was taken and has not gone out. It is the first of its lane again.
    pub fn give_back(&mut self, name: &LaneName, kind: Kind, now: SystemTime, call: T) {
        self.recall(name, kind);
        self.enter(name, |lane| lane.push_front(kind, now, call));
    }

    /// A call of this lane is no longer on the wire.
    pub fn ended(&mut self, lane: &LaneName, ended: Ended, now: SystemTime) {
        let Some(entry) = self.lanes.get_mut(lane) else { return };
        entry.ended(ended, &self.breaker, now);
        self.in_flight = self.in_flight.saturating_sub(1);
        self.touch(lane);
    }

    /// It is known now what became of a call of this lane that has left the wire before.
    pub fn closed(&mut self, lane: &LaneName, call: CallEnd) {
        let Some(entry) = self.lanes.get_mut(lane) else { return };
        entry.tally.count_call(call);
        self.touch(lane);
    }

    /// A call of this lane that is still on the wire is being answered.
    pub fn answers(&mut self, lane: &LaneName, now: SystemTime) {
        let Some(entry) = self.lanes.get_mut(lane) else { return };
        entry.answers(now);
        self.touch(lane);
    }

    /// Sends nothing to this lane before `until`.
    pub fn park(&mut self, lane: &LaneName, until: SystemTime) {
        self.lane(lane).park(until);
        self.touch(lane);
    }

    /// When the first lane that has calls and is kept back by the clock may send again.
    pub fn next_opening(&self, now: SystemTime) -> Option<SystemTime> {
        self.lanes.values().filter_map(|lane| lane.opens_at(now)).min()
    }

    /// Takes out the waiting calls that `pick` names.
    pub fn remove(&mut self, mut pick: impl FnMut(&T) -> bool) -> Vec<T> {
        let removed: Vec<T> = self.lanes.values_mut().flat_map(|lane| lane.remove(&mut pick)).collect();
        self.waiting -= removed.len();
        removed
    }

    /// Lets `change` at every waiting call.
    pub fn for_each_waiting(&mut self, change: impl FnMut(&mut T)) {
        self.lanes.values_mut().flat_map(Lane::iter_mut).for_each(change);
    }

    fn push(&mut self, name: &LaneName, kind: Kind, now: SystemTime, call: T) {
        self.enter(name, |lane| lane.push(kind, now, call));
    }

    /// Lets one more call wait in a lane, where `place` puts it.
    fn enter(&mut self, name: &LaneName, place: impl FnOnce(&mut Lane<T>)) {
        let lane = self.lane(name);
        let was_empty = lane.waiting() == 0;
        place(lane);
        self.waiting += 1;
        self.touch(name);
        if was_empty && !self.rotation.contains(name) {
            self.rotation.push_back(name.clone());
        }
    }

    fn lane(&mut self, name: &LaneName) -> &mut Lane<T> {
        self.lanes.entry(name.clone()).or_insert_with(Lane::new)
    }

    fn touch(&mut self, name: &LaneName) {
        if let Some(lane) = self.lanes.get_mut(name)
            && !std::mem::replace(&mut lane.touched, true)
        {
            self.touched.push(name.clone());
        }
    }

    /// The places left, and how many are taken by endpoints that have not answered lately.
    fn places(&self, now: SystemTime) -> Room {
        let untrusted = self.lanes.values().filter(|lane| !lane.is_trusted(now)).map(|lane| lane.in_flight).sum();
        Room { capacity: self.capacity, free: self.capacity.in_flight.saturating_sub(self.in_flight), untrusted }
    }
}
