//! One endpoint's place in the backlog: the calls that wait for it, and whether it may be sent one now.
//!
//! A storm of retries does not starve fresh work: calls that were never tried always find a quarter of the places free of retries, and
//! go before those that are tried again (`queues`).

mod disk;
mod prospects;
mod queues;

use std::time::{Duration, SystemTime};

use super::breaker::{Breaker, BreakerRules, State};
use super::lane_policy::{Capacity, Gate, LanePolicy};
use super::quota::Allowance;
use super::rate::{Bucket, Rate};
use super::tally::{Ended, Kind, Reach, Tally};

pub use self::disk::{Appetite, OnDisk, Rest};
use self::queues::Queues;

/// What is kept of all endpoints together, as far as one of them has to know it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub capacity: Capacity,
    /// Places left in all.
    pub free: usize,
    /// Places taken by endpoints that have not answered lately.
    pub untrusted: usize,
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

#[derive(Debug)]
pub(super) struct Lane<T> {
    queues: Queues<T>,
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
            queues: Queues::new(),
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
        self.queues.len()
    }

    pub fn push(&mut self, kind: Kind, now: SystemTime, call: T) {
        self.queues.of(kind).push_back((now, call));
    }

    /// Takes the call that is to go out now, if one may.
    pub fn take(&mut self, room: &Room, now: SystemTime) -> Option<T> {
        let kind = self.next_kind(room, now)?;
        let call = self.queues.take(kind)?;
        if let Some((rate, bucket)) = &mut self.bucket {
            bucket.take_one(*rate, now);
        }
        if let Some(allowance) = &mut self.allowance {
            allowance.take_one();
        }
        self.breaker.sent(now);
        self.in_flight += 1;
        self.retries_in_flight += usize::from(kind == Kind::Retry);
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
        self.queues.of(kind).push_front((now, call));
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

    /// Gives up all waiting calls but as many as five times what ended since the last call, if they have waited long.
    pub fn spill(&mut self, memory: Memory, now: SystemTime) -> Vec<T> {
        let patience = match memory {
            Memory::Ample => PATIENCE,
            Memory::Short => SHORT_PATIENCE,
        };
        let keep = self.ended * 5;
        self.ended = 0;
        if self.queues.oldest_wait(now) < patience || self.waiting() <= keep {
            return Vec::new();
        }
        self.queues.drain_beyond(keep, &mut self.on_disk)
    }

    pub fn remove(&mut self, pick: &mut impl FnMut(&T) -> bool) -> Vec<T> {
        self.queues.remove(pick)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.queues.iter_mut()
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
}
