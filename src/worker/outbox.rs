//! What is to be written in the next transaction. It is kept until a transaction with it has committed, so that a
//! failing write never loses an answer or makes a call twice.
//!
//! Runs on the main thread of a dispatcher.

use std::collections::{BTreeMap, HashSet};

use super::batches::offspring::{self, Offspring};
use super::landing::Landing;
use super::silence;
use crate::domain::weighed::Weighed;
use crate::error::Error;
use crate::store::attempts::{self, FailedTry};
use crate::store::callbacks::{self, Callback};
use crate::store::deferred::{self, Deferral};
use crate::store::events::{self, Beginning, News, Progress};
use crate::store::leases::{self, Lease};
use crate::store::responses::{self, Ending};
use crate::store::scan;
use crate::store::transaction::Durability;

/// Rows to be written together.
#[derive(Debug, Default)]
pub struct Outbox {
    pub endings: Weighed<Ending>,
    pub failed_tries: Vec<FailedTry>,
    pub deferrals: Vec<Deferral>,
    /// Deferred calls that have ended.
    pub undeferred: Vec<i64>,
    pub callbacks: Vec<Callback>,
    /// Batches that are done with.
    pub finished_batches: Vec<i64>,
    /// Requests to cancel that have been dealt with.
    pub settled_cancellations: Vec<i64>,
    pub lease: Option<Lease>,
    /// Deferred calls among those of the lease.
    pub leased_deferred: Vec<i64>,
    /// What has come of streamed answers.
    pub landings: Vec<Landing>,
    /// Streams that have begun and are over: their calls have ended, or are put off.
    pub over: Vec<i64>,
    /// Calls that are made of the items of those that end.
    pub offspring: Weighed<Offspring>,
}

impl Outbox {
    /// Whether nothing is to be written.
    pub fn is_empty(&self) -> bool {
        // Without `..`, so that no field can be forgotten: its rows would never be written.
        let Self {
            endings,
            failed_tries,
            deferrals,
            undeferred,
            callbacks,
            finished_batches,
            settled_cancellations,
            lease,
            leased_deferred,
            landings,
            over,
            offspring,
        } = self;
        let is_nothing_sent = lease.is_none() && leased_deferred.is_empty();
        let is_nothing_known = endings.is_empty() && failed_tries.is_empty() && callbacks.is_empty();
        let is_nothing_moved = deferrals.is_empty() && undeferred.is_empty() && finished_batches.is_empty();
        let is_nothing_streamed = landings.is_empty() && over.is_empty();
        is_nothing_sent
            && is_nothing_known
            && is_nothing_moved
            && is_nothing_streamed
            && offspring.is_empty()
            && settled_cancellations.is_empty()
    }

    /// Takes the rows of another one, but for a lease, of which there is one a turn.
    pub fn absorb(&mut self, other: Self) {
        let Self {
            endings,
            failed_tries,
            deferrals,
            undeferred,
            callbacks,
            finished_batches,
            settled_cancellations,
            lease: _,
            leased_deferred,
            landings,
            over,
            offspring,
        } = other;
        self.endings.extend(endings);
        self.failed_tries.extend(failed_tries);
        self.deferrals.extend(deferrals);
        self.undeferred.extend(undeferred);
        self.callbacks.extend(callbacks);
        self.finished_batches.extend(finished_batches);
        self.settled_cancellations.extend(settled_cancellations);
        self.leased_deferred.extend(leased_deferred);
        self.landings.extend(landings);
        self.over.extend(over);
        self.offspring.extend(offspring);
    }

    /// Losing a lease means sending again; losing an outcome would mean the same, but for a call that is done. An event that
    /// somebody has read may not be lost either: the call would be made anew, and other events take its number.
    pub fn durability(&self) -> Durability {
        let only_leases = self.endings.is_empty()
            && self.failed_tries.is_empty()
            && self.deferrals.is_empty()
            && self.callbacks.is_empty()
            && self.settled_cancellations.is_empty()
            && self.landings.iter().all(|landing| landing.events.is_empty());
        if only_leases { Durability::Relaxed } else { Durability::Full }
    }

    /// Writes all of it in the running transaction. `current_slot` is where the ring stands.
    pub fn write(&self, current_slot: i16) -> Result<(), Error> {
        if !self.undeferred.is_empty() || !self.leased_deferred.is_empty() {
            deferred::undefer([self.undeferred.as_slice(), &self.leased_deferred].concat())?;
        }
        if !self.landings.is_empty() {
            self.land()?;
        }
        let born = offspring::write(&self.offspring, current_slot)?;
        if !self.endings.is_empty() {
            responses::insert(&born.named(&self.endings))?;
        }
        // Nearly all calls end in the slot they were queued in, and then there is no statement to run.
        let late: Vec<&Ending> = self.endings.iter().filter(|ending| ending.slot != current_slot).collect();
        if !late.is_empty() {
            responses::insert_late(&late)?;
        }
        if !self.failed_tries.is_empty() {
            attempts::insert(&self.failed_tries)?;
        }
        if !self.deferrals.is_empty() {
            deferred::defer(&self.deferrals)?;
        }
        if !self.callbacks.is_empty() {
            callbacks::insert(&self.callbacks)?;
        }
        if !self.settled_cancellations.is_empty() {
            scan::delete_cancellations(self.settled_cancellations.clone())?;
        }
        if !self.finished_batches.is_empty() {
            leases::delete(&self.finished_batches)?;
        }
        if let Some(lease) = &self.lease {
            leases::insert(lease)?;
        }
        if !self.over.is_empty() {
            let begun: HashSet<i64> = self.beginnings().map(|beginning| beginning.call.0).collect();
            let written: Vec<i64> = self.over.iter().copied().filter(|call| !begun.contains(call)).collect();
            events::end(&written)?;
        }
        let news = self.news();
        if !news.is_empty() {
            silence::note(events::notify(&news));
        }
        Ok(())
    }

    /// Writes what has come of streams.
    fn land(&self) -> Result<(), Error> {
        let over: HashSet<i64> = self.over.iter().copied().collect();
        // A stream that is over in the transaction in which it begins was never seen to run.
        let begun: Vec<&Beginning> = self.beginnings().filter(|beginning| !over.contains(&beginning.call.0)).collect();
        if !begun.is_empty() {
            events::begin(&begun)?;
        }
        events::insert(&self.landings.iter().map(Landing::rows).collect::<Vec<_>>())
    }

    fn beginnings(&self) -> impl Iterator<Item = &Beginning> {
        self.landings.iter().filter_map(|landing| landing.beginning.as_ref())
    }

    /// What those hear who listen: of each stream once.
    fn news(&self) -> Vec<News> {
        let mut news: BTreeMap<i64, News> = BTreeMap::new();
        for landing in self.landings.iter().filter(|landing| !landing.events.is_empty()) {
            let of_one = News { call: landing.call, seq: landing.last(), progress: Progress::GoesOn };
            news.insert(landing.call.0, of_one);
        }
        for ending in self.endings.iter() {
            if let Some(stream) = &ending.stream {
                let seq = stream.events.unwrap_or(0);
                news.insert(ending.call.0, News { call: ending.call, seq, progress: Progress::Done });
            }
        }
        news.into_values().collect()
    }

    /// The calls that have ended.
    pub fn ended(&self) -> HashSet<i64> {
        self.endings.iter().map(|ending| ending.call.0).collect()
    }

    /// The calls of which there is something new to be read: they have ended, or events have come.
    pub fn told_of(&self) -> HashSet<i64> {
        let streaming = self.landings.iter().filter(|landing| !landing.events.is_empty());
        streaming.map(|landing| landing.call.0).chain(self.endings.iter().map(|ending| ending.call.0)).collect()
    }

    /// Bytes of events held.
    pub fn landing_bytes(&self) -> usize {
        self.landings.iter().map(Landing::bytes).sum()
    }

    /// Bytes of answers held, and of the items that are sent again.
    pub fn bytes(&self) -> usize {
        self.endings.bytes() + self.offspring.bytes()
    }
}
