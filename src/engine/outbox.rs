//! Finished reports, and the bell that tells the main thread of them. Filled on the engine thread, drained on the
//! main thread; the lock between them is held only to push one report or to swap the queue for an empty one.
//!
//! The bell rings once for a burst: the first report after a drain calls `wake`, the ones after it see that it rang
//! already. A drain silences the bell *before* it takes the queue. A report pushed too late to be taken was therefore
//! pushed after the silencing, finds the bell silent, and rings it again: no wake is ever lost.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::domain::attempt::Report;

/// The way back from the engine thread to the main thread.
pub(super) struct Outbox {
    reports: Mutex<Vec<Report>>,
    in_flight: AtomicUsize,
    rung: AtomicBool,
    alive: AtomicBool,
    wake: Box<dyn Fn() + Send + Sync>,
}

// === impl Outbox ===

impl Outbox {
    pub(super) fn new(expected: usize, wake: Box<dyn Fn() + Send + Sync>) -> Self {
        // The number comes from a setting; a large one must not become an allocation nobody needs.
        let reports = Mutex::new(Vec::with_capacity(expected.min(1_024)));
        let (rung, alive) = (AtomicBool::new(false), AtomicBool::new(true));
        Self { reports, in_flight: AtomicUsize::new(0), rung, alive, wake }
    }

    /// Counts an attempt that is on its way to the engine.
    pub(super) fn expect_one(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Queues a report and rings.
    pub(super) fn push(&self, report: Report) {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).push(report);
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.ring();
    }

    /// Moves every queued report to the end of `into`.
    pub(super) fn drain(&self, into: &mut Vec<Report>) {
        self.answer();
        let mut queue = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        if into.is_empty() {
            std::mem::swap(&mut *queue, into);
        } else {
            into.append(&mut queue);
        }
    }

    /// Wakes the main thread, unless it was woken and has not answered yet.
    pub(super) fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            (self.wake)();
        }
    }

    /// The main thread is about to look: from here on, news ring again.
    pub(super) fn answer(&self) {
        self.rung.store(false, Ordering::Release);
    }

    pub(super) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// The engine thread ends: the main thread is woken whatever the bell says.
    pub(super) fn die(&self) {
        self.alive.store(false, Ordering::Release);
        (self.wake)();
    }
}
