//! Where the rows of a trigger become calls, and the calls rows of the queue.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use super::subscription::{Secrets, Subscription};
use crate::api::{arguments, request};
use crate::domain::batch::Round;
use crate::domain::batch::chunks::Most;
use crate::domain::batch::writer::ListWriter;
use crate::domain::webhook::options::Grouping;
use crate::domain::webhook::payload::{Change, Heading};
use crate::domain::webhook::shape::Event;
use crate::error::Error;
use crate::guc::Settings;
use crate::store::callbacks::GONE;
use crate::store::datum::Jsonb;
use crate::store::queue::{self, NewCall};
use crate::store::transaction::in_own_memory;
use crate::store::trigger::table;
use crate::store::{endpoints, owner};
use crate::worker::queued;
use crate::worker::wake::{self, reason};

/// So many calls are written together.
const HANDFUL: usize = 256;

/// Calls with so many bytes are not kept back for others.
const ENOUGH_BYTES: usize = 1024 * 1024;

/// Takes rows, and writes calls.
pub struct CallWriter<'a> {
    subscription: &'a Subscription,
    owner: pg_sys::Oid,
    on_complete: Option<pg_sys::Oid>,
    run_at: Option<TimestampWithTimeZone>,
    heading: Heading,
    /// The bytes that a request may have.
    limit: usize,
    /// The list that is being written, where rows go out as lists.
    batch: Option<ListWriter>,
    waiting: Vec<Unwritten>,
    bytes: usize,
}

/// A call that is to be written.
struct Unwritten {
    body: String,
    metadata: Option<String>,
}

impl<'a> CallWriter<'a> {
    /// Ready for the rows of one firing.
    pub fn open(subscription: &'a Subscription, event: Event) -> Result<Self, Error> {
        let table = table::find(subscription.root)?;
        if subscription.secrets == Secrets::Named {
            request::may_hold_placeholders(table.owner, &subscription.webhook.headers)?;
        }
        let limit = limit(subscription.webhook.endpoint.as_deref())?;
        let batch = match subscription.webhook.options.grouping {
            Grouping::OneByOne => None,
            Grouping::Batches(most) => Some(ListWriter::new(Most { items: most, bytes: limit })),
        };
        Ok(Self {
            subscription,
            owner: table.owner,
            // Whoever writes the row cannot help it if the function is gone, or belongs to somebody else than the table does by
            // now: the call is made, and that there is no function to run is an error of the callback.
            on_complete: subscription.on_complete.as_ref().map(|name| name.find_for(table.owner).unwrap_or(GONE)),
            run_at: subscription.delay.and_then(after),
            heading: Heading::new(event, &table.schema, &table.name),
            limit,
            batch,
            waiting: Vec::new(),
            bytes: 0,
        })
    }

    /// How many bytes a request may have.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// The columns that are asked for by name.
    pub fn columns(&self) -> &'a [String] {
        self.subscription.webhook.options.columns.as_deref().unwrap_or_default()
    }

    /// The columns that are needed, where that is not all of them.
    pub fn wanted(&self) -> Option<&'a [String]> {
        self.subscription.wanted.as_deref()
    }

    /// Takes what is to be told of a row.
    pub fn tell(&mut self, change: Change<'_>) -> Result<(), Error> {
        let options = &self.subscription.webhook.options;
        let metadata = if options.metadata_columns.is_empty() {
            options.metadata.clone()
        } else {
            Some(change.metadata(options.metadata.as_deref(), &options.metadata_columns))
        };
        let change = match &options.columns {
            Some(columns) => change.only(columns),
            None => change,
        };
        match &mut self.batch {
            None => {
                let body = change.tell(&self.heading, self.limit);
                self.post(Unwritten { body, metadata })
            }
            Some(batch) => {
                let item = change.tell(&self.heading, ListWriter::room_for_one(self.limit));
                match batch.push(&item) {
                    Some(body) => self.post(Unwritten { body, metadata }),
                    None => Ok(()),
                }
            }
        }
    }

    /// Writes what is left.
    pub fn close(mut self) -> Result<(), Error> {
        if let Some(body) = self.batch.as_mut().and_then(ListWriter::take) {
            let metadata = self.subscription.webhook.options.metadata.clone();
            self.post(Unwritten { body, metadata })?;
        }
        self.write()
    }

    fn post(&mut self, call: Unwritten) -> Result<(), Error> {
        self.bytes += call.body.len();
        self.waiting.push(call);
        if self.waiting.len() >= HANDFUL || self.bytes >= ENOUGH_BYTES { self.write() } else { Ok(()) }
    }

    /// Writes the calls. However many the owner has: that his queue is full is nothing that whoever writes a row can mend.
    fn write(&mut self) -> Result<(), Error> {
        let unwritten = std::mem::take(&mut self.waiting);
        self.bytes = 0;
        if unwritten.is_empty() {
            return Ok(());
        }
        in_own_memory(|| {
            let ids = unwritten.iter().map(|_| queue::next_id()).collect::<Result<Vec<i64>, Error>>()?;
            let calls = ids.into_iter().zip(&unwritten).map(|(id, call)| (id, self.call(call)));
            owner::confined(|| queue::insert_all(calls))
        })?;
        unwritten.iter().for_each(|_| queued::note(self.owner));
        wake::at_commit(reason::CALLS);
        Ok(())
    }

    fn call<'l>(&'l self, call: &'l Unwritten) -> NewCall<'l> {
        let Subscription { webhook, headers, timeout_ms, max_attempts, terms, .. } = self.subscription;
        NewCall {
            owner: self.owner,
            method: webhook.method.as_str(),
            url: &webhook.url,
            endpoint: webhook.endpoint.as_deref(),
            headers: headers.as_deref(),
            body: Some(call.body.as_bytes()),
            timeout_ms: *timeout_ms,
            max_attempts: *max_attempts,
            run_at: self.run_at,
            on_complete: self.on_complete,
            idempotency_key: None,
            // What the row says may be more than fits, or what jsonb cannot hold: the call is more than what is said about it.
            metadata: call
                .metadata
                .as_deref()
                .and_then(kept)
                .or_else(|| webhook.options.metadata.as_deref().and_then(kept)),
            stream: None,
            terms: *terms,
            // What became of a job, its function says of the list as a whole.
            round: (self.batch.is_some() && terms.is_none()).then_some(Round(0)),
        }
    }
}

/// The bytes that a request may have. An endpoint that is not there takes as many as the setting says: the call is queued, and
/// fails by itself.
fn limit(endpoint: Option<&str>) -> Result<usize, Error> {
    let setting = Settings::current().max_request_bytes;
    let Some(name) = endpoint else { return Ok(setting) };
    Ok(owner::confined(|| endpoints::max_request_bytes(name, setting))?.unwrap_or(setting))
}

/// Metadata as it is kept, where it can be.
fn kept(json: &str) -> Option<Jsonb> {
    Jsonb::parse(json).and_then(|metadata| arguments::metadata(metadata).ok())
}

/// So many microseconds from now on.
fn after(delay: i64) -> Option<TimestampWithTimeZone> {
    let now: i64 = queue::now()?.into_inner();
    TimestampWithTimeZone::try_from(now.saturating_add(delay)).ok()
}
