//! When a peer is pinged, sent a heartbeat, and taken for dead.

use std::time::{Duration, Instant};

/// What is known of a connection's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// When the last byte came from the peer.
    pub heard: Instant,
    /// When it was last pinged.
    pub pinged: Instant,
    /// When it was last sent a heartbeat, where it gets them.
    pub beaten: Option<Instant>,
    /// Whether it can be heard.
    pub hearing: Hearing,
}

/// Whether a peer can be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// What it sends is read.
    Open,
    /// We do not read what it sends, so its silence says nothing.
    Stopped,
}

/// How often, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// Between two pings, and between two heartbeats.
    pub every: Duration,
    /// A peer that was silent for so long is dead.
    pub dead_after: Duration,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Give the peer up.
    Bury,
    /// Ping it.
    Ping,
    /// Send it a heartbeat.
    Beat,
    /// Nothing before then.
    Wait(Instant),
}

/// What is to be done now. Asked again after each step but waiting.
pub fn step(rhythm: Rhythm, pulse: Pulse, now: Instant) -> Step {
    let dead = match pulse.hearing {
        Hearing::Open => Some(pulse.heard + rhythm.dead_after),
        Hearing::Stopped => None,
    };
    let ping = pulse.pinged + rhythm.every;
    let beat = pulse.beaten.map(|beaten| beaten + rhythm.every);
    if dead.is_some_and(|dead| dead <= now) {
        Step::Bury
    } else if ping <= now {
        Step::Ping
    } else if beat.is_some_and(|beat| beat <= now) {
        Step::Beat
    } else {
        Step::Wait([dead, beat].into_iter().flatten().fold(ping, Instant::min))
    }
}
