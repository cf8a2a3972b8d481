//! The named endpoints as a dispatcher knows them, and what follows when they change.
//!
//! Runs on the main thread of a dispatcher, inside the turn's transaction.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::ledger::{Source, Waiting};
use super::report;
use super::settle::Unsent;
use super::turn::Dispatcher;
use crate::domain::backlog::LaneName;
use crate::domain::endpoint::Endpoint;
use crate::domain::quota::Quota;
use crate::domain::retry_policy::RetryPolicy;
use crate::error::Error;
use crate::store::scan::Queued;
use crate::store::transaction::under_snapshot;
use crate::store::{endpoints, scan};

/// Calls of a dropped endpoint that are ended in one turn.
const HANDFUL: usize = 512;

/// The endpoints of a database.
#[derive(Default)]
pub struct Endpoints {
    known: HashMap<LaneName, Arc<Endpoint>>,
    /// What holds for calls to bare URLs.
    retry: Arc<RetryPolicy>,
    /// Those whose waiting calls are to be ended.
    dropped: Vec<LaneName>,
}

impl Endpoints {
    /// The endpoint of this name.
    pub fn find(&self, name: &str) -> Option<&Arc<Endpoint>> {
        self.known.get(name)
    }

    /// How often the calls of a lane are tried again.
    pub fn retry(&self, lane: &LaneName) -> &RetryPolicy {
        self.known.get(lane).map_or(&self.retry, |endpoint| &endpoint.retry)
    }

    /// The endpoints that may be sent so much in a month.
    pub fn quotas(&self) -> impl Iterator<Item = (LaneName, Quota)> + '_ {
        self.known.iter().filter_map(|(name, endpoint)| Some((name.clone(), endpoint.quota?)))
    }

    /// Whether calls of dropped endpoints are still to be ended.
    pub fn has_dropped(&self) -> bool {
        !self.dropped.is_empty()
    }
}

/// Why a call to an endpoint that is not there ends.
pub fn gone(name: &str) -> Unsent {
    Unsent::Refused(format!("there is no endpoint \"{name}\": it was dropped, or is still to be made"))
}

impl Dispatcher {
    /// Reads the endpoints anew. What is different holds from now on, also for calls that wait.
    pub(super) fn read_endpoints(&mut self, now: SystemTime) -> Result<(), Error> {
        let mut found = HashMap::new();
        for (name, endpoint) in under_snapshot(endpoints::all)? {
            match endpoint {
                Ok(endpoint) => drop(found.insert(endpoint.name.clone(), Arc::new(endpoint))),
                Err(unusable) => {
                    report::warn(&format!("cannot use what is said of endpoint {name}: {unusable}"));
                    found.extend(self.endpoints.known.remove_entry(name.as_str()));
                }
            }
        }
        // Should the rest of this fail, nobody may take it for done.
        self.usage.forget_quotas();
        for name in self.endpoints.known.keys().filter(|name| !found.contains_key(*name)) {
            self.backlog.configure(name, None, now);
            self.backlog.allow(name, None);
            self.endpoints.dropped.push(name.clone());
        }
        for (name, endpoint) in &found {
            self.backlog.configure(name, Some(endpoint.lane), now);
            self.backlog.allow(name, None);
        }
        self.endpoints.known = found;
        self.work_out_quotas(now)
    }

    /// Reads the endpoints anew if one that these calls name is not known: it may be younger than what was read, and nobody
    /// tells of rows that a restored dump brings. It may also have been made together with the calls since this turn began. To be
    /// called before anything follows from the calls.
    pub(super) fn know_endpoints(&mut self, calls: &[Queued], now: SystemTime) -> Result<(), Error> {
        let is_known =
            |queued: &Queued| queued.endpoint.as_deref().is_none_or(|name| self.endpoints.find(name).is_some());
        if calls.iter().all(is_known) {
            return Ok(());
        }
        self.read_endpoints(now)
    }

    /// The same for one that a websocket names.
    pub(super) fn know_endpoint(&mut self, name: Option<&str>, now: SystemTime) -> Result<(), Error> {
        let is_known = name.is_none_or(|name| self.endpoints.find(name).is_some());
        if is_known {
            return Ok(());
        }
        self.read_endpoints(now)
    }

    /// Ends the calls that wait for endpoints that are gone, in memory and put off.
    pub(super) fn end_calls_of_dropped(&mut self, now: SystemTime) -> Result<(), Error> {
        let Some(name) = self.endpoints.dropped.last().cloned() else { return Ok(()) };
        if self.endpoints.find(&name).is_some() {
            // There is one of that name again.
            self.endpoints.dropped.pop();
            return Ok(());
        }
        let is_of_it = |waiting: &Waiting| waiting.queued.endpoint.as_deref() == Some(&*name);
        for waiting in self.backlog.remove(is_of_it) {
            self.ledger.stops_waiting(waiting.queued.id);
            self.end_unsent(waiting.queued, waiting.source, gone(&name), now);
        }
        let in_hand = self.deferred_in_hand();
        let found = under_snapshot(|| scan::deferred_to(&name, in_hand, HANDFUL))?;
        if found.len() < HANDFUL {
            self.endpoints.dropped.pop();
        }
        for queued in found {
            self.end_unsent(queued, Source::Deferred, gone(&name), now);
        }
        Ok(())
    }
}
