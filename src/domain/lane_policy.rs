//! What an endpoint says of its lane, and what holds for all of them.

use super::rate::Rate;

/// How much may wait and run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Calls on the wire in all.
    pub in_flight: usize,
    /// Calls on the wire to one endpoint that does not say otherwise.
    pub per_lane: usize,
    /// Calls waiting in memory in all.
    pub window: usize,
}

/// What an endpoint says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LanePolicy {
    /// Calls on the wire at once; `None` leaves it to the capacity.
    pub max_concurrency: Option<usize>,
    /// Calls a second; `None` is as many as come.
    pub rate: Option<Rate>,
    /// Whether anything is sent at all.
    pub gate: Gate,
}

/// Whether an endpoint is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gate {
    /// It is.
    #[default]
    Open,
    /// Its calls wait until somebody enables it.
    Closed,
}
