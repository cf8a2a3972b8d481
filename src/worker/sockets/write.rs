//! What is to be written of websockets. It is kept until a transaction with it has committed, so that a write that fails
//! loses no message.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Instant, SystemTime};

use super::memory::Sockets;
use crate::domain::socket::message::Received;
use crate::engine::Receipt;
use crate::error::Error;
use crate::store::sockets::landing::{self, Incoming, News};
use crate::store::sockets::outcomes::{self, Outcome};
use crate::store::sockets::standing::Handling;
use crate::store::sockets::states::{self, State};
use crate::store::sockets::unsent;
use crate::store::transaction::Durability;

/// Bytes of messages that are written in one transaction, so that none grows without bound.
const LANDING_BUDGET: usize = 8 * 1024 * 1024;

/// What a message costs beside what it says.
const OF_A_MESSAGE: usize = 128;

/// Rows to be written together.
#[derive(Default)]
pub(super) struct Pending {
    pub landings: VecDeque<Landing>,
    pub outcomes: Vec<Outcome>,
    /// Those that are in another state, or have other counts.
    pub states: BTreeSet<i64>,
}

/// Messages that have come over one websocket.
pub(super) struct Landing {
    pub connection: i64,
    pub messages: Vec<Received>,
    /// Dropped with the last of the messages, once they are stored: then the websocket may be read on.
    #[allow(dead_code, reason = "it does its work when it is dropped")]
    pub receipt: Option<Receipt>,
}

/// What was written, as far as memory has to follow once it is committed.
#[derive(Default)]
pub(super) struct Written {
    /// So many of the landings.
    pub landings: usize,
    pub outcomes: usize,
    pub states: Vec<State>,
    /// How many messages of each have come.
    pub received: BTreeMap<i64, i64>,
    /// Whether a function is to be run for some of them.
    pub handlings: Handlings,
    /// What those who listen hear of messages.
    pub news: Vec<News>,
}

/// Whether there are messages for functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Handlings {
    #[default]
    None,
    Some,
}

impl Pending {
    pub fn is_empty(&self) -> bool {
        self.landings.is_empty() && self.outcomes.is_empty() && self.states.is_empty()
    }

    pub fn move_slot(&mut self, from: i16, to: i16) {
        self.outcomes.iter_mut().filter(|outcome| outcome.slot == from).for_each(|outcome| outcome.slot = to);
    }
}

impl Landing {
    /// Its two halves, in order; the landing itself where it is but one message.
    pub fn halves(mut self) -> Result<[Self; 2], Self> {
        if self.messages.len() < 2 {
            return Err(self);
        }
        let later = self.messages.split_off(self.messages.len() / 2);
        let connection = self.connection;
        let receipt = self.receipt.take();
        Ok([self, Self { connection, messages: later, receipt }])
    }

    fn bytes(&self) -> usize {
        self.messages.iter().map(|message| OF_A_MESSAGE + message.payload.size()).sum()
    }
}

impl Written {
    /// A message that somebody may have read must not be lost. What else is lost costs no more than sending again.
    pub fn durability(&self) -> Durability {
        if self.received.is_empty() { Durability::Relaxed } else { Durability::Full }
    }
}

impl Sockets {
    /// Writes messages that have come, and what became of those that were sent. What is read after it sees both.
    pub(super) fn write_messages(&mut self, slot: i16, now: SystemTime) -> Result<Written, Error> {
        let mut written = Written::default();
        let mut bytes = 0;
        let mut rows: Vec<Incoming<'_>> = Vec::new();
        for landing in &self.pending.landings {
            if bytes > LANDING_BUDGET {
                break;
            }
            bytes += landing.bytes();
            written.landings += 1;
            // One that is not known any more has been forgotten, and its messages with it.
            let Some(held) = self.held.get(&landing.connection) else { continue };
            let mut messages = Vec::with_capacity(landing.messages.len());
            for message in &landing.messages {
                let id = unsent::next_id()?;
                self.own_ids.push(id);
                messages.push((id, message));
            }
            *written.received.entry(landing.connection).or_default() += messages.len() as i64;
            if let Some((id, _)) = messages.last() {
                let news = News::Message { connection: landing.connection, id: *id };
                written.news.retain(|other| !is_message_of(other, landing.connection));
                written.news.push(news);
            }
            let (owner, handling) = (held.wish.owner, held.wish.handling);
            if handling == Handling::Function {
                written.handlings = Handlings::Some;
            }
            rows.push(Incoming { connection: landing.connection, owner, handling, messages });
        }
        if !rows.is_empty() {
            landing::insert(&rows, slot)?;
        }
        if !self.pending.outcomes.is_empty() {
            outcomes::insert(&self.pending.outcomes, now)?;
        }
        written.outcomes = self.pending.outcomes.len();
        Ok(written)
    }

    /// Writes how those are to which something has happened, and tells the sessions that listen.
    pub(super) fn write_states(&self, written: &mut Written, now: SystemTime, clock: Instant) -> Result<(), Error> {
        // What is still to be written has to be found again, should it never be.
        let unwritten = self.pending.outcomes.iter().skip(written.outcomes).map(|outcome| outcome.message).min();
        let floor = self.cursor.floor().min(unwritten.unwrap_or(i64::MAX));
        let changed: BTreeSet<i64> = self.pending.states.iter().chain(written.received.keys()).copied().collect();
        let mut news = std::mem::take(&mut written.news);
        for connection in changed {
            let Some(held) = self.held.get(&connection) else { continue };
            let received = written.received.get(&connection).copied().unwrap_or_default();
            let state = held.state(floor, received, now, clock);
            if state.name != held.told {
                news.push(News::State { connection, state: state.name });
            }
            written.states.push(state);
        }
        if !written.states.is_empty() {
            states::write(&written.states)?;
        }
        if !news.is_empty() {
            landing::notify(&news);
        }
        Ok(())
    }

    /// What was written is committed.
    pub(super) fn written(&mut self, written: &Written) {
        // With them go the receipts, and the engine reads on.
        self.pending.landings.drain(..written.landings);
        self.pending.outcomes.drain(..written.outcomes);
        for (connection, received) in &written.received {
            if let Some(held) = self.held.get_mut(connection) {
                held.counts.received += received;
            }
        }
        for state in &written.states {
            if let Some(held) = self.held.get_mut(&state.connection) {
                held.told = state.name;
            }
        }
        self.pending.states.clear();
    }
}

fn is_message_of(news: &News, of: i64) -> bool {
    matches!(news, News::Message { connection, .. } if *connection == of)
}
