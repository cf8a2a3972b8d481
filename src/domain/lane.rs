//! One endpoint's place in the backlog: the calls that wait for it, and whether it may be sent one now.
//!
//! Calls that were never tried go before those that are tried again, three to one, and always find a quarter of the places free of
//! retries: a storm of retries does not starve fresh work.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use super::breaker::{Breaker, BreakerRules, State};
use super::lane_policy::{Capacity, Gate, LanePolicy};
use super::quota::Allowance;
use super::rate::{Bucket, Rate};
use super::tally::{Ended, Kind, Reach, Tally};

/// What is kept of all endpoints together, as far as one of them has to know it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub capacity: Capacity,
    /// Places left in all.
    pub free: usize,
    /// Places taken by endpoints that have not answered lately.
    pub untrusted: usize,
}

/// Whether calls of each kind wait on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnDisk {
    /// Of those that were never tried.
    pub fresh: Rest,
    /// Of those that were.
    pub retries: Rest,
}

/// Whether there are any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// There are none.
    None,
    /// There are some.
    Some,
}

impl OnDisk {
    /// No call waits there.
    pub const NOTHING: Self = Self { fresh: Rest::None, retries: Rest::None };

    pub(super) fn of(self, kind: Kind) -> Rest {
        match kind {
            Kind::Fresh => self.fresh,
            Kind::Retry => self.retries,
        }
    }

    pub(super) fn note(&mut self, kind: Kind) {
        match kind {
            Kind::Fresh => self.fresh = Rest::Some,
            Kind::Retry => self.retries = Rest::Some,
        }
    }

    fn is_anything(self) -> bool {
        self != Self::NOTHING
    }
}

/// How many calls of each kind are wanted from the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appetite {
    /// Of those that were never tried.
    pub fresh: usize,
    /// Of those that were.
    pub retries: usize,
}

/// Whether memory is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    Ample,
    Short,
}

/// How long a call may wait in memory before its lane is looked at for spilling.
const PATIENCE: Duration = Duration::from_secs(1);

/// The same while memory is short. A lane whose calls came in just now has not had the time to show its speed.
const SHORT_PATIENCE: Duration = Duration::from_millis(200);

/// How long an endpoint that answered is trusted.
const TRUST: Duration = Duration::from_secs(60);

/// So many fresh calls go out for one that is tried again, while both wait.
const FRESH_PER_RETRY: u8 = 3;

#[derive(Debug)]
pub(super) struct Lane<T> {
    fresh: VecDeque<(SystemTime, T)>,
    retries: VecDeque<(SystemTime, T)>,
    fresh_since_retry: u8,
    pub in_flight: usize,
    retries_in_flight: usize,
    /// Calls that ended since the last spill: the lane's speed.
    ended: usize,
    parked_until: Option<SystemTime>,
    /// The endpoint has answered, and is trusted to do so again until then.
    trusted_until: Option<SystemTime>,
    pub on_disk: OnDisk,
    breaker: Breaker,
    /// `None` where the policy is nobody's.
    policy: Option<LanePolicy>,
    bucket: Option<(Rate, Bucket)>,
    /// What is left of the month's quota, where calls wait when it is used up.
    pub allowance: Option<Allowance>,
    pub tally: Tally,
    pub touched: bool,
}

impl<T> Lane<T> {
    pub fn new() -> Self {
        Self {
            fresh: VecDeque::new(),
            retries: VecDeque::new(),
            fresh_since_retry: 0,
            in_flight: 0,
            retries_in_flight: 0,
            ended: 0,
            parked_until: None,
            trusted_until: None,
            on_disk: OnDisk::NOTHING,
            breaker: Breaker::default(),
            policy: None,
            bucket: None,
            allowance: None,
            tally: Tally::default(),
            touched: false,
        }
    }

    /// Follows another policy. A bucket that was running keeps what it holds.
    ///
    /// Whoever opens the gate again has mended what was wrong: nothing from before keeps calls back any longer.
    pub fn configure(&mut self, policy: Option<LanePolicy>, now: SystemTime) {
        if self.gate() == Gate::Closed && policy.unwrap_or_default().gate == Gate::Open {
            (self.breaker, self.parked_until) = (Breaker::default(), None);
        }
        self.policy = policy;
        let rate = policy.and_then(|policy| policy.rate);
        if rate != self.bucket.map(|(rate, _)| rate) {
            self.bucket = rate.map(|rate| (rate, Bucket::full(rate, now)));
        }
    }

    pub fn waiting(&self) -> usize {
        self.fresh.len() + self.retries.len()
    }

    pub fn push(&mut self, kind: Kind, now: SystemTime, call: T) {
        self.queue(kind).push_back((now, call));
    }

    /// Takes the call that is to go out now, if one may.
    pub fn take(&mut self, room: &Room, now: SystemTime) -> Option<T> {
        let kind = self.next_kind(room, now)?;
        let (_, call) = self.queue(kind).pop_front()?;
        if let Some((rate, bucket)) = &mut self.bucket {
            bucket.take_one(*rate, now);
        }
        if let Some(allowance) = &mut self.allowance {
            allowance.take_one();
        }
        self.breaker.sent(now);
        self.in_flight += 1;
        match kind {
            Kind::Fresh => self.fresh_since_retry = self.fresh_since_retry.saturating_add(1),
            Kind::Retry => {
                self.fresh_since_retry = 0;
                self.retries_in_flight += 1;
            }
        }
        Some(call)
    }

    /// Frees the place of a call that was taken and does not go out.
    pub fn recall(&mut self, kind: Kind) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if kind == Kind::Retry {
            self.retries_in_flight = self.retries_in_flight.saturating_sub(1);
        }
        self.breaker.recalled();
        self.refund();
    }

    /// An attempt that was counted has not been made.
    pub fn refund(&mut self) {
        if let Some(allowance) = &mut self.allowance {
            allowance.give_back();
        }
    }

    /// Lets a call wait before all others of its kind.
    pub fn push_front(&mut self, kind: Kind, now: SystemTime, call: T) {
        self.queue(kind).push_front((now, call));
    }

    fn queue(&mut self, kind: Kind) -> &mut VecDeque<(SystemTime, T)> {
        match kind {
            Kind::Fresh => &mut self.fresh,
            Kind::Retry => &mut self.retries,
        }
    }

    /// Whether a call may go out right now.
    pub fn can_send(&self, room: &Room, now: SystemTime) -> bool {
        self.next_kind(room, now).is_some()
    }

    /// How many calls should be read from the disk, so that none is missing when it may go out.
    pub fn appetite(&self, room: &Room, now: SystemTime) -> Appetite {
        if !self.on_disk.is_anything() || !self.is_open(room, now) {
            return Appetite::default();
        }
        // Of each kind by itself: retries that hang may not keep fresh calls on disk.
        let useful = self.useful(room.capacity);
        let wanted = |rest, waiting| if rest == Rest::Some { useful.saturating_sub(waiting) } else { 0 };
        Appetite {
            fresh: wanted(self.on_disk.fresh, self.fresh.len()),
            retries: wanted(self.on_disk.retries, self.retries.len()),
        }
    }

    /// How many calls may wait in memory with a prospect of going out within a second.
    fn useful(&self, capacity: Capacity) -> usize {
        let paced = self.bucket.map_or(usize::MAX, |(rate, _)| rate.per_second().ceil() as usize);
        self.places(capacity).min(paced).max(1)
    }

    pub fn ended(&mut self, ended: Ended, rules: &BreakerRules, now: SystemTime) {
        if ended.reach == Reach::Answered {
            self.trusted_until = Some(now + TRUST);
        }
        self.in_flight = self.in_flight.saturating_sub(1);
        if ended.kind == Kind::Retry {
            self.retries_in_flight = self.retries_in_flight.saturating_sub(1);
        }
        self.ended += 1;
        let was_open = matches!(self.breaker.state(now), State::Open(_));
        self.breaker.heard(ended.health, rules, self.in_flight, now);
        let is_open = matches!(self.breaker.state(now), State::Open(_));
        self.tally.count(&ended);
        self.tally.openings += u64::from(is_open && !was_open);
    }

    /// An answer has begun that will take its time.
    pub fn answers(&mut self, now: SystemTime) {
        self.trusted_until = Some(now + TRUST);
        self.breaker.answers(now);
    }

    pub fn park(&mut self, until: SystemTime) {
        self.parked_until = self.parked_until.max(Some(until));
    }

    pub fn parked_until(&self, now: SystemTime) -> Option<SystemTime> {
        self.parked_until.filter(|until| *until > now)
    }

    pub fn breaker(&self, now: SystemTime) -> State {
        self.breaker.state(now)
    }

    /// When the quota that is used up is renewed.
    pub fn held_until(&self, now: SystemTime) -> Option<SystemTime> {
        self.allowance.and_then(|allowance| allowance.held_until(now))
    }

    pub fn gate(&self) -> Gate {
        self.policy.unwrap_or_default().gate
    }

    /// When a lane that has calls may send again, where it is the clock that keeps it from it.
    pub fn opens_at(&self, now: SystemTime) -> Option<SystemTime> {
        if self.gate() == Gate::Closed || (self.waiting() == 0 && !self.on_disk.is_anything()) {
            return None;
        }
        let breaker = match self.breaker.state(now) {
            State::Open(until) => Some(until),
            State::Closed | State::HalfOpen => None,
        };
        let hold = self.parked_until(now).max(breaker).max(self.held_until(now));
        hold.or_else(|| self.bucket.map(|(rate, bucket)| bucket.next_at(rate, now)).filter(|at| *at > now))
    }

    /// Gives up all waiting calls but as many as five times what ended since the last call, if they have waited long.
    pub fn spill(&mut self, memory: Memory, now: SystemTime) -> Vec<T> {
        let patience = match memory {
            Memory::Ample => PATIENCE,
            Memory::Short => SHORT_PATIENCE,
        };
        let keep = self.ended * 5;
        self.ended = 0;
        if self.oldest_wait(now) < patience || self.waiting() <= keep {
            return Vec::new();
        }
        let keep_fresh = keep.min(self.fresh.len());
        let keep_retries = (keep - keep_fresh).min(self.retries.len());
        if keep_fresh < self.fresh.len() {
            self.on_disk.note(Kind::Fresh);
        }
        if keep_retries < self.retries.len() {
            self.on_disk.note(Kind::Retry);
        }
        let spilled = self.fresh.drain(keep_fresh..).chain(self.retries.drain(keep_retries..));
        spilled.map(|(_, call)| call).collect()
    }

    pub fn remove(&mut self, pick: &mut impl FnMut(&T) -> bool) -> Vec<T> {
        let mut removed = Vec::new();
        for queue in [&mut self.fresh, &mut self.retries] {
            for (since, call) in std::mem::take(queue) {
                if pick(&call) {
                    removed.push(call);
                } else {
                    queue.push_back((since, call));
                }
            }
        }
        removed
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.fresh.iter_mut().chain(&mut self.retries).map(|(_, call)| call)
    }

    pub fn is_trusted(&self, now: SystemTime) -> bool {
        self.trusted_until.is_some_and(|until| until > now)
    }

    /// Whether nothing is lost by forgetting the lane.
    pub fn is_idle(&self, now: SystemTime) -> bool {
        let is_empty = self.in_flight == 0 && self.waiting() == 0 && !self.on_disk.is_anything() && !self.touched;
        let is_plain = self.policy.is_none() && self.breaker.is_fresh(now);
        is_empty && is_plain && self.parked_until(now).is_none() && !self.is_trusted(now)
    }

    fn next_kind(&self, room: &Room, now: SystemTime) -> Option<Kind> {
        let has_token = self.bucket.is_none_or(|(rate, bucket)| bucket.has_one(rate, now));
        if !has_token || !self.is_open(room, now) {
            return None;
        }
        let most_retries = (self.places(room.capacity) * 3 / 4).max(1);
        let may_retry = !self.retries.is_empty() && self.retries_in_flight < most_retries;
        let retries_turn = self.fresh.is_empty() || self.fresh_since_retry >= FRESH_PER_RETRY;
        match (may_retry && retries_turn, self.fresh.is_empty()) {
            (true, _) => Some(Kind::Retry),
            (false, false) => Some(Kind::Fresh),
            (false, true) => None,
        }
    }

    /// Whether anything but its rate keeps it from sending.
    fn is_open(&self, room: &Room, now: SystemTime) -> bool {
        let has_place = self.in_flight < self.places(room.capacity).min(room.free);
        let is_let = self.gate() == Gate::Open && self.parked_until(now).is_none() && self.breaker.admits(now);
        let has_quota = self.allowance.is_none_or(|allowance| allowance.has_one(now));
        has_place && is_let && has_quota && (self.is_trusted(now) || room.untrusted < self.share(room))
    }

    fn places(&self, capacity: Capacity) -> usize {
        self.policy.and_then(|policy| policy.max_concurrency).unwrap_or(capacity.per_lane)
    }

    /// How many places untrusted endpoints may take together for this one to take one more. At least one, so that a
    /// capacity of a single place still serves.
    fn share(&self, room: &Room) -> usize {
        let all = room.capacity.in_flight;
        if self.in_flight == 0 { all - all / 8 } else { all.div_ceil(2) }
    }

    fn oldest_wait(&self, now: SystemTime) -> Duration {
        let oldest = [self.fresh.front(), self.retries.front()].into_iter().flatten().map(|(since, _)| *since).min();
        oldest.and_then(|since| now.duration_since(since).ok()).unwrap_or_default()
    }
}
