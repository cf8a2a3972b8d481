//! Finished reports, and the bell that tells the main thread of them. Filled on the engine thread, drained on the
//! main thread; the lock between them is held only to push one report or to swap the queue for an empty one.
//!
//! Waking the main thread costs the engine a system call, so the bell rings once for a burst: when the engine has
//! nothing left to do, or [`BURST`] reports have come, and then not again before the main thread answered. A drain
//! answers the bell *before* it takes the queue. A report pushed too late to be taken was therefore pushed after the
//! answer, finds the bell silent, and rings it again: no wake is ever lost.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::domain::attempt::Report;

/// How many reports may wait for the engine to run out of work. A busy engine has that many in milliseconds.
const BURST: usize = 64;

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

    /// Queues a report. It is announced with the others of its burst.
    pub(super) fn push(&self, report: Report) {
        let mut queue = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push(report);
        let burst_is_full = queue.len() >= BURST;
        drop(queue);
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        if burst_is_full {
            self.ring();
        }
    }

    /// Rings for what is queued. The engine thread does so whenever it is about to sleep.
    pub(super) fn announce(&self) {
        let news = !self.reports.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        if news {
            self.ring();
        }
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
