//! Streamed answers on their way from the engine to the tables.
//!
//! Runs on the main thread of a dispatcher. Pieces wait here until the outbox has room for them; whoever waits keeps the
//! receipts of its pieces, and so the engine from reading on. Nothing is dropped, but of a stream that cannot be stored.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::SystemTime;

use super::landing::Landing;
use super::ledger::Stream;
use super::rescue::Refusal;
use super::turn::Dispatcher;
use crate::domain::backlog::LaneName;
use crate::domain::call::CallId;
use crate::domain::header::block;
use crate::engine::Piece;
use crate::store::events::Beginning;

/// Bytes of events written in one turn, so that no transaction grows without bound.
const LANDING_BUDGET: usize = 8 * 1024 * 1024;

/// What has come of streams and is not being written yet.
#[derive(Debug, Default)]
pub struct Streams {
    pub(super) pieces: VecDeque<Piece>,
    pub(super) refused: HashMap<CallId, Refusal>,
}

impl Streams {
    /// Pieces have come.
    pub fn add(&mut self, pieces: Vec<Piece>) {
        self.pieces.extend(pieces);
    }

    /// Whether pieces wait.
    pub fn is_behind(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// The calls whose pieces wait: their reports have to wait as well.
    pub fn behind(&self) -> HashSet<CallId> {
        self.pieces.iter().map(|piece| piece.call).collect()
    }

    /// Why a call's stream could not be stored; asked for once.
    pub fn take_refusal(&mut self, call: CallId) -> Option<Refusal> {
        self.refused.remove(&call)
    }
}

impl Dispatcher {
    /// Has pieces written in the next transaction, as many as fit into it.
    pub(super) fn land_pieces(&mut self, now: SystemTime) {
        if !self.streams.is_behind() {
            return;
        }
        let mut bytes = self.outbox.landing_bytes();
        while bytes < LANDING_BUDGET {
            let Some(piece) = self.streams.pieces.pop_front() else { break };
            if let Some(landing) = self.landing(piece, now) {
                bytes += landing.bytes();
                self.outbox.landings.push(landing);
            }
        }
    }

    /// Where a piece goes. Nowhere, where its call is not on the wire or its stream is given up.
    fn landing(&mut self, piece: Piece, now: SystemTime) -> Option<Landing> {
        let Piece { call, number, head, first, events, receipt } = piece;
        if self.streams.refused.contains_key(&call) {
            return None;
        }
        let entry = self.ledger.of(call).filter(|entry| entry.number == number)?;
        let slot = entry.slot;
        let beginning =
            head.map(|head| Beginning { call, slot, status: head.status, headers: block::of_answer(&head) });
        if let Some(beginning) = &beginning {
            entry.stream = Some(Stream::Begun(beginning.clone()));
        }
        let lane = LaneName::clone(&entry.lane);
        self.backlog.answers(&lane, now);
        self.count_events(&lane, events.iter().map(|event| event.data.len()).sum(), now);
        Some(Landing { call, slot, beginning, first, events, receipt })
    }
}
