//! Whether a lane may be sent a call now, when it may be again, and how many calls it is worth having in memory for it.

use std::time::SystemTime;

use super::queues::Retries;
use super::{Appetite, Lane, Rest, Room};
use crate::domain::breaker::State;
use crate::domain::lane_policy::{Capacity, Gate};
use crate::domain::tally::Kind;

impl<T> Lane<T> {
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
            fresh: wanted(self.on_disk.fresh, self.queues.fresh.len()),
            retries: wanted(self.on_disk.retries, self.queues.retries.len()),
        }
    }

    /// How many calls may wait in memory with a prospect of going out within a second.
    fn useful(&self, capacity: Capacity) -> usize {
        let paced = self.bucket.map_or(usize::MAX, |(rate, _)| rate.per_second().ceil() as usize);
        self.places(capacity).min(paced).max(1)
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

    /// Of which kind the call is that may go out right now.
    pub(super) fn next_kind(&self, room: &Room, now: SystemTime) -> Option<Kind> {
        let has_token = self.bucket.is_none_or(|(rate, bucket)| bucket.has_one(rate, now));
        if !has_token || !self.is_open(room, now) {
            return None;
        }
        let most_retries = (self.places(room.capacity) * 3 / 4).max(1);
        self.queues.turn(if self.retries_in_flight < most_retries { Retries::May } else { Retries::MustWait })
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
}
