//! Saving what can be saved of a turn whose rows could not be written.
//!
//! Runs on the main thread of a dispatcher. If a row is at fault and not the server, each call's rows are written by
//! themselves, in their order: its events, then its end. What cannot be stored for what it holds costs its own call the
//! answer, and no other call anything. Nothing of a call is ever stored after something of it that is not.

use std::collections::{HashMap, HashSet};

use pgrx::PgSqlErrorCode;

use super::batches::offspring::Offspring;
use super::landing::Landing;
use super::outbox::Outbox;
use super::turn::Dispatcher;
use crate::domain::call::{CallId, Final};
use crate::domain::outcome::FailureClass;
use crate::domain::weighed::Weighed;
use crate::store::owner;
use crate::store::responses::{Ending, StreamEnd};
use crate::store::transaction::{Aborted, Durability, attempt, under_snapshot};

/// Why a stream cannot be stored.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// How many of its events are stored.
    pub stored: u64,
    pub reason: String,
}

/// What there is to be written of one call.
#[derive(Default)]
struct OfOne {
    landings: Vec<Landing>,
    ending: Option<Ending>,
}

impl Dispatcher {
    /// A turn's transaction has failed. What it was to write is in the outbox still.
    pub(super) fn rescue(&mut self, aborted: &Aborted) {
        if aborted.is_transient() {
            return;
        }
        let mut told = HashSet::new();
        for (call, rows) in self.by_call() {
            self.rescue_one(call, rows, &mut told);
        }
        self.rescue_jobs(&mut told);
        self.announce(|| told);
    }

    /// Takes the rows that may be at fault out of the outbox, those of each call together, in order.
    fn by_call(&mut self) -> Vec<(CallId, OfOne)> {
        let mut calls: Vec<(CallId, OfOne)> = Vec::new();
        let mut places: HashMap<CallId, usize> = HashMap::new();
        let mut place_of = |call, calls: &mut Vec<_>| {
            *places.entry(call).or_insert_with(|| {
                calls.push((call, OfOne::default()));
                calls.len() - 1
            })
        };
        for landing in std::mem::take(&mut self.outbox.landings) {
            let place = place_of(landing.call, &mut calls);
            calls[place].1.landings.push(landing);
        }
        for ending in std::mem::take(&mut self.outbox.endings) {
            let place = place_of(ending.call, &mut calls);
            calls[place].1.ending = Some(ending);
        }
        calls
    }

    /// Stores the rows of one call, as far as they can be stored. What has to wait for the server goes back into the outbox.
    fn rescue_one(&mut self, call: CallId, rows: OfOne, told: &mut HashSet<i64>) {
        let OfOne { landings, mut ending } = rows;
        let mut landings = landings.into_iter();
        while let Some(landing) = landings.next() {
            let stored = landing.first - 1;
            let alone = Outbox { landings: vec![landing], ..Outbox::default() };
            match self.write_alone(&alone) {
                Ok(()) => told.extend(alone.told_of()),
                Err(failed) if failed.is_transient() => {
                    self.outbox.landings.extend(alone.landings);
                    self.outbox.landings.extend(landings);
                    self.outbox.endings.extend(ending);
                    return;
                }
                Err(failed) => {
                    let refusal = Refusal { stored, reason: failed.message };
                    match &mut ending {
                        Some(ending) => *ending = after_refusal(ending, &refusal),
                        None => self.refuse(call, refusal),
                    }
                    // The events behind it are dropped: they would follow a gap.
                    break;
                }
            }
        }
        if let Some(ending) = ending {
            self.rescue_ending(ending, told);
        }
    }

    fn rescue_ending(&mut self, ending: Ending, told: &mut HashSet<i64>) {
        let call = ending.call;
        // What belongs to the ending stands or falls with it: a crash right after may not lose a callback.
        let callbacks = self.outbox.callbacks.iter().filter(|callback| callback.call == call).cloned().collect();
        let undeferred = self.outbox.undeferred.iter().copied().filter(|id| *id == call.0).collect();
        let over = self.outbox.over.iter().copied().filter(|id| *id == call.0).collect();
        let offspring = self.outbox.offspring.take_where(|new| new.parent.call == call).into_iter().collect();
        let endings = Weighed::from_iter([ending.clone()]);
        let alone = Outbox { endings, callbacks, undeferred, over, offspring, ..Outbox::default() };
        match self.write_alone(&alone) {
            Ok(()) => {
                self.note_written(&alone);
                self.outbox.callbacks.retain(|callback| callback.call != call);
                told.insert(call.0);
            }
            // It has an answer, and that is never written again.
            Err(failed) if failed.sqlstate == PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION => {
                self.schedules.ended_somehow(call.0);
                self.outbox.callbacks.retain(|callback| callback.call != call);
                told.insert(call.0);
            }
            Err(failed) if failed.is_transient() => {
                self.outbox.endings.push(ending);
                self.outbox.offspring.extend(alone.offspring);
            }
            // No call is made of its items then: they stay in the failed one, which can be replayed.
            Err(failed) => {
                self.outbox.endings.push(without_answer(&ending, &failed.message));
                self.outbox.callbacks.extend(alone.offspring.iter().filter_map(Offspring::callback_of_parent));
            }
        }
    }

    /// Writes some rows in a transaction of their own.
    fn write_alone(&self, rows: &Outbox) -> Result<(), Aborted> {
        attempt(|| {
            owner::step_down()?;
            under_snapshot(|| rows.write(self.ring.current))?;
            Ok(((), Durability::Full))
        })
    }

    /// Gives up a stream whose call has not ended: nothing more of it is stored, and its call ends with what is.
    fn refuse(&mut self, call: CallId, refusal: Refusal) {
        self.streams.pieces.retain(|piece| piece.call != call);
        if self.ledger.is_in_flight(call) {
            if let Some(engine) = &self.engine {
                engine.cancel(call);
            }
            self.streams.refused.insert(call, refusal);
        }
    }
}

/// The same ending without what the peer sent, for an answer that cannot be stored.
fn without_answer(ending: &Ending, reason: &str) -> Ending {
    let mut bare = ending.clone();
    bare.state = Final::Failed;
    bare.headers = None;
    bare.body = None;
    if let Some(stream) = &mut bare.stream {
        stream.usage = None;
    }
    bare.trace.error_class = Some(FailureClass::Internal.name());
    bare.trace.error = Some(format!("the answer could not be stored: {reason}"));
    bare
}

/// The same ending of a stream of which only so many events could be stored.
pub(super) fn after_refusal(ending: &Ending, refusal: &Refusal) -> Ending {
    let mut cut = without_answer(ending, &refusal.reason);
    cut.headers.clone_from(&ending.headers);
    cut.stream = Some(StreamEnd { events: Some(refusal.stored), ..StreamEnd::default() });
    cut
}
