//! One stream's way to the main thread. Runs on the engine thread.
//!
//! What the main thread has not taken of a stream is one piece, however often something was added. So a slow main thread
//! gets fewer and larger pieces, and what it does for each costs the less for it.

use std::sync::Arc;

use crate::domain::call::CallId;
use crate::domain::outcome::Head;
use crate::domain::stream::StreamEvent;

use super::flow::{Flow, Receipt, weight};
use super::message::Piece;
use super::outbox::{Outbox, Place, Urgency};

/// How many events of a stream wait for others at most.
const HANDFUL: usize = 64;

/// The engine's end of a stream.
pub(super) struct Spout {
    call: CallId,
    number: u32,
    flow: Arc<Flow>,
    outbox: Arc<Outbox>,
    place: Option<Place>,
}

// === impl Spout ===

impl Spout {
    pub(super) fn new(call: CallId, number: u32, flow: &Arc<Flow>, outbox: &Arc<Outbox>) -> Self {
        Self { call, number, flow: Arc::clone(flow), outbox: Arc::clone(outbox), place: None }
    }

    /// How many events have been handed over.
    pub(super) fn events(&self) -> u64 {
        self.flow.events()
    }

    /// How far the stream is ahead.
    pub(super) fn flow(&self) -> &Flow {
        &self.flow
    }

    /// The stream has begun. The main thread is told before there is an event.
    pub(super) fn begin(&mut self, head: Head) {
        self.add(|piece| {
            piece.receipt.add(head.held_bytes());
            piece.head = Some(head);
            Urgency::Now
        });
    }

    /// Hands events over, and leaves `events` empty.
    pub(super) fn pour(&mut self, events: &mut Vec<StreamEvent>) {
        if events.is_empty() {
            return;
        }
        let flow = Arc::clone(&self.flow);
        self.add(|piece| {
            let is_first = flow.events() == 0;
            flow.count(events);
            piece.receipt.add(weight(events));
            piece.events.append(events);
            // A stream that has to wait waits for the main thread, so that one should not be waited for in turn.
            let is_enough = piece.events.len() >= HANDFUL || flow.is_full();
            if is_first || is_enough { Urgency::Now } else { Urgency::Soon }
        });
    }

    fn add(&mut self, fill: impl FnOnce(&mut Piece) -> Urgency) {
        let Self { call, number, flow, outbox, place } = self;
        let empty = || Piece {
            call: *call,
            number: *number,
            head: None,
            first: flow.events() + 1,
            events: Vec::new(),
            receipt: Receipt::of(flow),
        };
        outbox.add(place, empty, fill);
    }
}
