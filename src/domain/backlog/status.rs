//! How endpoints are doing, as far as their lanes know.

use std::time::SystemTime;

use super::{Backlog, LaneName};
use crate::domain::breaker::State;
use crate::domain::lane_policy::Gate;
use crate::domain::tally::Tally;

/// How an endpoint is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneStatus {
    /// Whose.
    pub name: LaneName,
    /// Calls on the wire.
    pub in_flight: usize,
    /// Calls waiting in memory.
    pub waiting: usize,
    /// Whether it is in use.
    pub gate: Gate,
    /// Where its breaker stands.
    pub breaker: State,
    /// It asked to be left alone until then.
    pub parked_until: Option<SystemTime>,
    /// Its quota is used up until then.
    pub held_until: Option<SystemTime>,
    /// What has been counted since the last look.
    pub tally: Tally,
}

impl<T> Backlog<T> {
    /// How the lanes are doing at which something happened since the last look.
    pub fn take_news(&mut self, now: SystemTime) -> Vec<LaneStatus> {
        let touched = std::mem::take(&mut self.touched);
        let news = touched.into_iter().filter_map(|name| {
            let lane = self.lanes.get_mut(&name)?;
            lane.touched = false;
            Some(LaneStatus {
                in_flight: lane.in_flight,
                waiting: lane.waiting(),
                gate: lane.gate(),
                breaker: lane.breaker(now),
                parked_until: lane.parked_until(now),
                held_until: lane.held_until(now),
                tally: std::mem::take(&mut lane.tally),
                name,
            })
        });
        news.collect()
    }
}
