//! Pieces of streamed answers on their way into the tables.
//!
//! Plain values on the main thread of a dispatcher.

use crate::domain::call::CallId;
use crate::domain::stream::StreamEvent;
use crate::engine::Receipt;
use crate::store::events::{Beginning, Events};

/// A piece of a streamed answer.
#[derive(Debug)]
pub struct Landing {
    pub call: CallId,
    pub slot: i16,
    /// Where it is the first piece.
    pub beginning: Option<Beginning>,
    /// The number of the first event.
    pub first: u64,
    pub events: Vec<StreamEvent>,
    /// Dropped with the piece, once that is stored: then its stream may be read on.
    #[allow(dead_code, reason = "it does its work when it is dropped")]
    pub receipt: Receipt,
}

impl Landing {
    /// The number of the last event that has come so far.
    pub fn last(&self) -> u64 {
        self.first - 1 + self.events.len() as u64
    }

    /// What is written of its events.
    pub fn rows(&self) -> Events<'_> {
        Events { call: self.call, slot: self.slot, first: self.first, events: &self.events }
    }

    /// Bytes of events held, with what each costs as a row.
    pub fn bytes(&self) -> usize {
        self.events.iter().map(StreamEvent::held_bytes).sum()
    }
}
