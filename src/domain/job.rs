//! A background job: a call that its function may accept now and complete later.

use std::time::Duration;

/// What a job's function is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long one delivery may take, from its sending until the function has said that it is done.
    pub deadline: Duration,
    /// How long a function that has accepted may be silent, where that is less.
    pub heartbeat: Option<Duration>,
}
