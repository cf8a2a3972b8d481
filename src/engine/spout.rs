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

    /// Hands events over, and leaves `events` empty. `urgency` is what holds where nothing makes them more urgent.
    pub(super) fn pour(&mut self, events: &mut Vec<StreamEvent>, urgency: Urgency) {
        self.pour_with(events, urgency, |_, _| ());
    }

    /// Hands text over, and leaves `events` empty. What waits for the main thread is joined, up to `most` bytes: how the
    /// network cut a text is no reason to have a row for each cut.
    pub(super) fn pour_text(&mut self, events: &mut Vec<StreamEvent>, most: usize) {
        self.pour_with(events, Urgency::Soon, |piece, events| join(piece, events, most));
    }

    fn pour_with(
        &mut self,
        events: &mut Vec<StreamEvent>,
        urgency: Urgency,
        join: impl FnOnce(&mut Piece, &mut Vec<StreamEvent>),
    ) {
        if events.is_empty() {
            return;
        }
        let flow = Arc::clone(&self.flow);
        self.add(|piece| {
            let is_first = flow.events() == 0;
            join(piece, events);
            flow.count(events);
            piece.receipt.add(weight(events));
            piece.events.append(events);
            // A stream that has to wait waits for the main thread, so that one should not be waited for in turn.
            let is_enough = piece.events.len() >= HANDFUL || flow.is_full();
            if is_first || is_enough { Urgency::Now } else { urgency }
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

/// Adds texts to the one that waits last, as many as it has room for. The others stay in `texts`.
fn join(piece: &mut Piece, texts: &mut Vec<StreamEvent>, most: usize) {
    let Some(last) = piece.events.last_mut() else { return };
    let mut room = most.saturating_sub(last.data.len());
    let fits = |text: &&StreamEvent| room.checked_sub(text.data.len()).inspect(|left| room = *left).is_some();
    let fitting = texts.iter().take_while(fits).count();
    let before = last.data.capacity();
    for text in texts.drain(..fitting) {
        last.data.push_str(&text.data);
        last.received_at = text.received_at;
    }
    let grown = last.data.capacity() - before;
    piece.receipt.add(grown);
}
