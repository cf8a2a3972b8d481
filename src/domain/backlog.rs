//! The calls that wait in memory, one lane an endpoint, so that no endpoint delays another.
//!
//! A lane sends at most `per_lane` calls at once, and never more than there are free places left over in all: each
//! hanging endpoint so takes a shrinking share. Lanes that have not answered lately get half of all places together, and
//! all but an eighth for one call each, so that any number of dead endpoints leaves room for those that answer. What a lane cannot
//! send soon is spilled (the caller writes it down and forgets it), so that neither memory nor the window
//! fills with the calls of one slow endpoint.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The name of a lane: for a bare URL its origin.
pub type LaneName = Arc<str>;

/// How much may wait and run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Calls on the wire in all.
    pub in_flight: usize,
    /// Calls on the wire to one endpoint.
    pub per_lane: usize,
    /// Calls waiting in memory in all.
    pub window: usize,
}

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
    lanes: HashMap<LaneName, Lane<T>>,
    /// Lanes with waiting calls; the front one is served next.
    rotation: VecDeque<LaneName>,
    waiting: usize,
    in_flight: usize,
}

#[derive(Debug)]
struct Lane<T> {
    waiting: VecDeque<(SystemTime, T)>,
    in_flight: usize,
    /// Calls that ended since the last [`Backlog::spill`]: the lane's speed.
    ended: usize,
    parked_until: Option<SystemTime>,
    /// The endpoint has answered, and is trusted to do so again until then.
    trusted_until: Option<SystemTime>,
    has_spilled: bool,
}

/// How long a call may wait in memory before its lane is looked at for spilling.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long an endpoint that answered is trusted.
const TRUST: Duration = Duration::from_secs(60);

/// The same while memory is short. A lane whose calls came in just now has not had the time to show its speed.
const SHORT_PATIENCE: Duration = Duration::from_millis(200);

impl<T> Backlog<T> {
    /// Nothing waits.
    pub fn new(capacity: Capacity) -> Self {
        Self { capacity, lanes: HashMap::new(), rotation: VecDeque::new(), waiting: 0, in_flight: 0 }
    }

    /// Changes the limits; what already runs or waits stays.
    pub fn set_capacity(&mut self, capacity: Capacity) {
        self.capacity = capacity;
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
    pub fn admit(&mut self, lane: &LaneName, now: SystemTime, call: T) -> Admission<T> {
        let entry = self.lane(lane);
        if entry.has_spilled {
            return Admission::Spilled(call);
        }
        self.push(lane, now, call);
        Admission::Waiting
    }

    /// Takes back calls that had been spilled. `rest` tells whether more of the lane are still on disk.
    pub fn refill(&mut self, lane: &LaneName, now: SystemTime, calls: Vec<T>, rest: Rest) {
        self.lane(lane).has_spilled = rest == Rest::Some;
        for call in calls {
            self.push(lane, now, call);
        }
    }

    /// Notes that calls of a lane wait on disk, as a restarted dispatcher finds them.
    pub fn note_spilled(&mut self, lane: &LaneName) {
        self.lane(lane).has_spilled = true;
    }

    /// The lanes that have calls on disk and could send more than waits in memory.
    pub fn hungry(&self, now: SystemTime) -> Vec<LaneName> {
        let (free, untrusted) = (self.free(), self.untrusted(now));
        let hungry = |lane: &Lane<T>| {
            lane.has_spilled
                && lane.waiting.len() < self.capacity.per_lane
                && lane.may_send(self.capacity, free, untrusted, now)
        };
        self.lanes.iter().filter(|(_, lane)| hungry(lane)).map(|(name, _)| name.clone()).collect()
    }

    /// Takes up to `limit` calls that may be sent now, one a lane in turn. They count as on the wire from here on.
    pub fn take(&mut self, now: SystemTime, limit: usize) -> Vec<(LaneName, T)> {
        let mut taken = Vec::new();
        let mut passed_over = 0;
        let mut untrusted = self.untrusted(now);
        while taken.len() < limit && passed_over < self.rotation.len() {
            let Some(name) = self.rotation.pop_front() else { break };
            let (capacity, free) = (self.capacity, self.free());
            // The rotation names only lanes that exist; a name without a lane is dropped.
            let Some(lane) = self.lanes.get_mut(&name) else { continue };
            if !lane.may_send(capacity, free, untrusted, now) {
                passed_over += 1;
                self.rotation.push_back(name);
                continue;
            }
            let Some((_, call)) = lane.waiting.pop_front() else { continue };
            lane.in_flight += 1;
            untrusted += usize::from(!lane.is_trusted(now));
            self.in_flight += 1;
            self.waiting -= 1;
            passed_over = 0;
            if !lane.waiting.is_empty() {
                self.rotation.push_back(name.clone());
            }
            taken.push((name, call));
        }
        taken
    }

    /// A call of this lane is no longer on the wire.
    pub fn ended(&mut self, lane: &LaneName, how: Ended, now: SystemTime) {
        let Some(entry) = self.lanes.get_mut(lane) else { return };
        if how == Ended::Answered {
            entry.trusted_until = Some(now + TRUST);
        }
        entry.in_flight = entry.in_flight.saturating_sub(1);
        entry.ended += 1;
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Sends nothing to this lane before `until`.
    pub fn park(&mut self, lane: &LaneName, until: SystemTime) {
        let entry = self.lane(lane);
        entry.parked_until = entry.parked_until.max(Some(until));
    }

    /// When the first parked lane with waiting calls may send again.
    pub fn next_unparking(&self, now: SystemTime) -> Option<SystemTime> {
        let waits = |lane: &&Lane<T>| lane.has_spilled || !lane.waiting.is_empty();
        self.lanes.values().filter(waits).filter_map(|lane| lane.parked_until).filter(|until| *until > now).min()
    }

    /// Gives up the waiting calls that their lanes cannot send soon, if memory is short or some have waited long.
    ///
    /// Meant to be called a few times a second: each lane keeps five times what it did since the last call.
    pub fn spill(&mut self, now: SystemTime) -> Vec<(LaneName, T)> {
        let mut spilled = Vec::new();
        let short = self.waiting * 4 > self.capacity.window * 3;
        let patience = if short { SHORT_PATIENCE } else { PATIENCE };
        for (name, lane) in &mut self.lanes {
            let keep = lane.ended * 5;
            lane.ended = 0;
            if lane.oldest_wait(now) < patience || lane.waiting.len() <= keep {
                continue;
            }
            lane.has_spilled = true;
            spilled.extend(lane.waiting.drain(keep..).map(|(_, call)| (name.clone(), call)));
        }
        self.waiting -= spilled.len();
        self.tidy(now);
        spilled
    }

    /// Takes out the waiting calls that `pick` names.
    pub fn remove(&mut self, mut pick: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut removed = Vec::new();
        for lane in self.lanes.values_mut() {
            let kept = std::mem::take(&mut lane.waiting);
            for (since, call) in kept {
                if pick(&call) {
                    removed.push(call);
                } else {
                    lane.waiting.push_back((since, call));
                }
            }
        }
        self.waiting -= removed.len();
        removed
    }

    /// Lets `change` at every waiting call.
    pub fn for_each_waiting(&mut self, mut change: impl FnMut(&mut T)) {
        for (_, call) in self.lanes.values_mut().flat_map(|lane| &mut lane.waiting) {
            change(call);
        }
    }

    fn push(&mut self, name: &LaneName, now: SystemTime, call: T) {
        let lane = self.lane(name);
        let was_empty = lane.waiting.is_empty();
        lane.waiting.push_back((now, call));
        self.waiting += 1;
        if was_empty && !self.rotation.contains(name) {
            self.rotation.push_back(name.clone());
        }
    }

    fn lane(&mut self, name: &LaneName) -> &mut Lane<T> {
        self.lanes.entry(name.clone()).or_insert_with(Lane::new)
    }

    /// How many calls are on the wire to endpoints that have not answered lately.
    fn untrusted(&self, now: SystemTime) -> usize {
        self.lanes.values().filter(|lane| !lane.is_trusted(now)).map(|lane| lane.in_flight).sum()
    }

    fn free(&self) -> usize {
        self.capacity.in_flight.saturating_sub(self.in_flight)
    }

    /// Forgets lanes that hold nothing, so that a million origins do not stay in memory.
    fn tidy(&mut self, now: SystemTime) {
        self.lanes.retain(|_, lane| !lane.is_idle(now));
        let lanes = &self.lanes;
        self.rotation.retain(|name| lanes.get(name).is_some_and(|lane| !lane.waiting.is_empty()));
    }
}

/// How a call left the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The endpoint answered, with whatever status.
    Answered,
    /// It did not.
    Silent,
}

/// Whether a lane still has calls on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// No more.
    None,
    /// More.
    Some,
}

impl<T> Lane<T> {
    fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            in_flight: 0,
            ended: 0,
            parked_until: None,
            trusted_until: None,
            has_spilled: false,
        }
    }

    /// `free` places are left in all, and `untrusted` are taken by endpoints that have not answered lately.
    fn may_send(&self, capacity: Capacity, free: usize, untrusted: usize, now: SystemTime) -> bool {
        let has_place = self.in_flight < capacity.per_lane.min(free);
        has_place && !self.is_parked(now) && (self.is_trusted(now) || untrusted < self.share(capacity))
    }

    /// How many places untrusted endpoints may take together for this one to take one more. At least one, so that a
    /// capacity of a single place still serves.
    fn share(&self, capacity: Capacity) -> usize {
        let half = capacity.in_flight.div_ceil(2);
        if self.in_flight == 0 { capacity.in_flight - capacity.in_flight / 8 } else { half }
    }

    fn is_trusted(&self, now: SystemTime) -> bool {
        self.trusted_until.is_some_and(|until| until > now)
    }

    fn is_parked(&self, now: SystemTime) -> bool {
        self.parked_until.is_some_and(|until| until > now)
    }

    /// Whether nothing is lost by forgetting the lane.
    fn is_idle(&self, now: SystemTime) -> bool {
        let is_empty = self.in_flight == 0 && self.waiting.is_empty() && !self.has_spilled;
        is_empty && !self.is_parked(now) && !self.is_trusted(now)
    }

    fn oldest_wait(&self, now: SystemTime) -> Duration {
        self.waiting.front().and_then(|(since, _)| now.duration_since(*since).ok()).unwrap_or_default()
    }
}
