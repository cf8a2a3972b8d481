//! One websocket's way to the main thread. Runs on the engine thread.

use std::sync::Arc;

use crate::domain::socket::message::Received;
use crate::domain::socket::plan::SocketId;

use crate::domain::stream::OF_AN_EVENT;
use crate::engine::flow::{Flow, Receipt};
use crate::engine::message::{SocketEvent, SocketNews};
use crate::engine::outbox::{Outbox, Place};

/// What is told at once, in bytes. What is collected for longer is counted by nobody.
const HANDFUL: usize = 64 << 10;

/// The engine's end of a websocket.
pub(super) struct Teller {
    socket: SocketId,
    flow: Arc<Flow>,
    outbox: Arc<Outbox>,
    collected: Vec<Received>,
    weight: usize,
    /// Where the messages are, and the count of those taken, that the main thread has not drained.
    received: Option<Place>,
    taken: Option<Place>,
}

// === impl Teller ===

impl Teller {
    pub(super) fn new(socket: SocketId, flow: Arc<Flow>, outbox: Arc<Outbox>) -> Self {
        Self { socket, flow, outbox, collected: Vec::new(), weight: 0, received: None, taken: None }
    }

    /// How far the websocket is ahead.
    pub(super) fn flow(&self) -> &Arc<Flow> {
        &self.flow
    }

    pub(super) fn opened(&self, subprotocol: Option<String>) {
        self.outbox.tell(SocketNews { socket: self.socket, event: SocketEvent::Opened { subprotocol } });
    }

    /// A message has come. It is told with those that come with it.
    pub(super) fn collect(&mut self, message: Received) {
        self.weight += OF_AN_EVENT + message.payload.size();
        self.collected.push(message);
        if self.weight >= HANDFUL {
            self.hand_over();
        }
    }

    /// Tells what was collected.
    pub(super) fn hand_over(&mut self) {
        if self.collected.is_empty() {
            return;
        }
        let Self { socket, flow, outbox, collected, weight, received, .. } = self;
        let empty = || SocketNews {
            socket: *socket,
            event: SocketEvent::Received { messages: Vec::new(), receipt: Receipt::of(flow) },
        };
        outbox.amend(received, empty, |event| {
            if let SocketEvent::Received { messages, receipt } = event {
                receipt.add(std::mem::take(weight));
                messages.append(collected);
            }
        });
    }

    /// The peer has taken so many more.
    pub(super) fn taken(&mut self, more: u64) {
        // What was sent was in memory.
        let more = usize::try_from(more).unwrap_or(usize::MAX);
        if more == 0 {
            return;
        }
        let Self { socket, outbox, taken, .. } = self;
        let empty = || SocketNews { socket: *socket, event: SocketEvent::Taken(0) };
        outbox.amend(taken, empty, |event| {
            if let SocketEvent::Taken(count) = event {
                *count += more;
            }
        });
    }
}
