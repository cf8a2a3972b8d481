//! What the parts of an attempt cost. Runs on the engine thread.
//!
//! The library makes a connection inside the future of the attempt that asked for it, so a task-local clock can tell
//! whose connection it is. Where an idle connection turns up first, the library goes on making the new one in a task
//! of its own, without the clock: that connection is nobody's, and the attempt shows no connection timings at all, the
//! same as one on a reused connection.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::attempt::Timings;

tokio::task_local! {
    static CLOCK: Arc<Clock>;
}

/// How far the connection of an attempt has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// The attempt makes no connection of its own.
    #[default]
    None,
    /// The name is being resolved.
    Resolving,
    /// TCP is connecting.
    Connecting,
    /// The TLS handshake runs.
    Handshaking,
    /// The connection stands.
    Connected,
}

/// The clock of one attempt, and how long the attempt lets a connection take.
pub(super) struct Clock {
    connect_limit: Duration,
    marks: Mutex<Marks>,
}

#[derive(Clone, Copy, Default)]
struct Marks {
    stage: Stage,
    since: Option<Instant>,
    dns: Option<Duration>,
    connect: Option<Duration>,
    tls: Option<Duration>,
}

/// Notes that the current attempt has come to a stage. Does nothing outside of an attempt.
pub(super) fn enter(stage: Stage) {
    let _outside = CLOCK.try_with(|clock| clock.enter(stage));
}

/// Runs an attempt under a clock.
pub(super) fn time<F: Future>(clock: &Arc<Clock>, attempt: F) -> impl Future<Output = F::Output> {
    CLOCK.scope(Arc::clone(clock), attempt)
}

/// The clock of the current attempt.
pub(super) fn current() -> Option<Arc<Clock>> {
    CLOCK.try_with(Arc::clone).ok()
}

// === impl Clock ===

impl Clock {
    pub(super) fn new(connect_limit: Duration) -> Self {
        Self { connect_limit, marks: Mutex::default() }
    }

    pub(super) fn connect_limit(&self) -> Duration {
        self.connect_limit
    }

    /// Whether the code that runs now runs under this clock.
    pub(super) fn is_current(self: &Arc<Self>) -> bool {
        CLOCK.try_with(|clock| Arc::ptr_eq(clock, self)).unwrap_or(false)
    }

    pub(super) fn enter(&self, stage: Stage) {
        self.marks().enter(stage, Instant::now());
    }

    /// The connection that was being made is not this attempt's any more.
    pub(super) fn disown(&self) {
        *self.marks() = Marks::default();
    }

    pub(super) fn stage(&self) -> Stage {
        self.marks().stage
    }

    /// What was measured, with what the attempt itself measured.
    pub(super) fn timings(&self, first_byte: Option<Duration>, total: Duration) -> Timings {
        let Marks { dns, connect, tls, .. } = *self.marks();
        Timings { dns, connect, tls, first_byte, total }
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Marks ===

impl Marks {
    /// Books the time since the last mark to the stage that ends, and begins the next one.
    fn enter(&mut self, next: Stage, now: Instant) {
        let spent = self.since.map(|since| now.saturating_duration_since(since));
        let booked = match self.stage {
            Stage::Resolving => Some(&mut self.dns),
            Stage::Connecting => Some(&mut self.connect),
            Stage::Handshaking => Some(&mut self.tls),
            Stage::None | Stage::Connected => None,
        };
        if let (Some(booked), Some(spent)) = (booked, spent) {
            *booked = Some(booked.unwrap_or_default() + spent);
        }
        (self.stage, self.since) = (next, Some(now));
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Marks, Stage};

    #[test]
    fn each_stage_is_booked_to_its_own_part() {
        let (mut marks, start) = (Marks::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        marks.enter(Stage::Connecting, at(0));
        marks.enter(Stage::Resolving, at(1));
        marks.enter(Stage::Connecting, at(5));
        marks.enter(Stage::Handshaking, at(7));
        marks.enter(Stage::Connected, at(20));
        let ms = |n| Some(Duration::from_millis(n));
        assert_eq!((marks.dns, marks.connect, marks.tls), (ms(4), ms(3), ms(13)));
    }
}
