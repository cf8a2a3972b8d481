//! Finished reports, pieces of streams and news of websockets, and the bell that tells the main thread of them. Filled on the engine thread,
//! drained on the main thread; the lock between them is held only to add one thing or to swap the queue for an empty one.
//!
//! Waking the main thread costs the engine a system call, so the bell rings once for a burst: when the engine has
//! nothing left to do, or [`BURST`] news have come, and then not again before the main thread answered. A drain
//! answers the bell *before* it takes the queue. A report pushed too late to be taken was therefore pushed after the
//! answer, finds the bell silent, and rings it again: no wake is ever lost.
//!
//! Events of streams are no news by themselves, but for the first and the last: they may wait [`LINGER`] for others, those
//! of their own stream and of all others, so that a thousand streams wake the main thread as often as one.
//!
//! News of websockets ring like reports, once for a burst. What the main thread has not taken of one's messages is one
//! piece, and so is what it has not taken of the counts of messages that a peer took.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use crate::domain::attempt::Report;

use super::message::{Piece, SocketEvent, SocketNews};
use super::queue::{BURST, Queue, take};

pub(super) use super::queue::Place;

/// How long events wait for others at most.
const LINGER: Duration = Duration::from_millis(50);

/// The way back from the engine thread to the main thread.
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    in_flight: AtomicUsize,
    rung: AtomicBool,
    alive: AtomicBool,
    /// There are events whose time to linger runs.
    lingering: AtomicBool,
    lingers: Notify,
    wake: Box<dyn Fn() + Send + Sync>,
}

/// How soon the main thread is to hear of something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// With the others of its burst.
    Now,
    /// Once it has waited for others.
    Soon,
}

// === impl Outbox ===

impl Outbox {
    pub(super) fn new(expected: usize, wake: Box<dyn Fn() + Send + Sync>) -> Self {
        // The number comes from a setting; a large one must not become an allocation nobody needs.
        let reports = Vec::with_capacity(expected.min(1_024));
        Self {
            queue: Mutex::new(Queue { reports, ..Queue::default() }),
            in_flight: AtomicUsize::new(0),
            rung: AtomicBool::new(false),
            alive: AtomicBool::new(true),
            lingering: AtomicBool::new(false),
            lingers: Notify::new(),
            wake,
        }
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
        let mut queue = self.queue();
        queue.reports.push(report);
        let burst_is_full = queue.count_news();
        // Under the lock: whoever has taken the report does not find its attempt still counted.
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        drop(queue);
        if burst_is_full {
            self.ring();
        }
    }

    /// Adds to the piece of a stream, or makes it one where `place` has none that the main thread has not taken.
    pub(super) fn add(
        &self,
        place: &mut Option<Place>,
        empty: impl FnOnce() -> Piece,
        fill: impl FnOnce(&mut Piece) -> Urgency,
    ) {
        let mut queue = self.queue();
        let index = match *place {
            Some(known) if known.drained == queue.drained => known.index,
            _ => {
                queue.pieces.push(empty());
                queue.pieces.len() - 1
            }
        };
        *place = Some(Place { drained: queue.drained, index });
        let urgency = fill(&mut queue.pieces[index]);
        let burst_is_full = urgency == Urgency::Now && queue.count_news();
        drop(queue);
        if burst_is_full {
            self.ring();
        } else if urgency == Urgency::Soon && !self.lingering.swap(true, Ordering::Relaxed) {
            self.lingers.notify_one();
        }
    }

    /// Queues news of a websocket. It is announced with the others of its burst.
    pub(super) fn tell(&self, news: SocketNews) {
        let mut queue = self.queue();
        queue.sockets.push(news);
        let burst_is_full = queue.sockets.len() == BURST;
        drop(queue);
        if burst_is_full {
            self.ring();
        }
    }

    /// Adds to news of a websocket, or makes it some where `place` has none that the main thread has not taken.
    pub(super) fn amend(
        &self,
        place: &mut Option<Place>,
        empty: impl FnOnce() -> SocketNews,
        fill: impl FnOnce(&mut SocketEvent),
    ) {
        let mut queue = self.queue();
        let known = place.filter(|known| known.drained == queue.sockets_drained);
        let index = known.map_or(queue.sockets.len(), |known| known.index);
        if known.is_none() {
            queue.sockets.push(empty());
        }
        *place = Some(Place { drained: queue.sockets_drained, index });
        fill(&mut queue.sockets[index].event);
        let burst_is_full = known.is_none() && queue.sockets.len() == BURST;
        drop(queue);
        if burst_is_full {
            self.ring();
        }
    }

    /// Rings for what is queued. The engine thread does so whenever it is about to sleep.
    pub(super) fn announce(&self) {
        let queue = self.queue();
        let is_news = queue.news > 0 || !queue.sockets.is_empty();
        drop(queue);
        if is_news {
            self.ring();
        }
    }

    /// Rings for events that have lingered long enough. Runs as long as the engine does.
    pub(super) async fn ring_for_lingering(self: Arc<Self>) {
        loop {
            self.lingers.notified().await;
            sleep(LINGER).await;
            self.lingering.store(false, Ordering::Relaxed);
            // A drain may have taken them in the meantime, and others have come: those are announced a little early.
            if !self.queue().pieces.is_empty() {
                self.ring();
            }
        }
    }

    /// Moves every queued piece and report to the end of `pieces` and `reports`.
    pub(super) fn drain(&self, pieces: &mut Vec<Piece>, reports: &mut Vec<Report>) {
        self.answer();
        let mut queue = self.queue();
        queue.drained += 1;
        queue.news = 0;
        take(&mut queue.pieces, pieces);
        take(&mut queue.reports, reports);
    }

    /// Moves news of websockets to the end of `into`.
    pub(super) fn drain_sockets(&self, into: &mut Vec<SocketNews>) {
        self.answer();
        let mut queue = self.queue();
        queue.sockets_drained += 1;
        take(&mut queue.sockets, into);
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

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
