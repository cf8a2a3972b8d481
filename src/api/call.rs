//! From the arguments of an `edge.http_*_async` function to a row in the queue.

use pgrx::datum::{Interval, TimestampWithTimeZone};
use sha2::{Digest, Sha256};

use super::arguments;
use super::handler::{self, Takes};
use super::request::{self, Wanted};
use crate::domain::batch::Round;
use crate::domain::job::Terms;
use crate::domain::stream::rules::Format;
use crate::error::Error;
use crate::guc::Settings;
use crate::store::datum::{Jsonb, RegProc, Text};
use crate::store::owner;
use crate::store::queue::{self, Claim, NewCall};
use crate::worker::queued;
use crate::worker::wake::{self, reason};

/// What may be said of a call besides its request, unchecked.
#[derive(Clone, Copy)]
pub struct Besides {
    pub run_at: Option<TimestampWithTimeZone>,
    pub idempotency_key: Option<Text>,
    pub stream: Option<Text>,
    pub on_complete: Option<RegProc>,
    pub metadata: Option<Jsonb>,
}

/// What a call is, by what may be made of its answer.
#[derive(Clone, Copy, Debug)]
pub enum Nature {
    /// It is the outcome.
    Plain,
    /// It may be that the function has accepted a job.
    Job(Terms),
    /// It may be that some of the items in the body are to be sent again.
    Items,
}

impl Nature {
    fn terms(self) -> Option<Terms> {
        match self {
            Self::Job(terms) => Some(terms),
            Self::Plain | Self::Items => None,
        }
    }

    fn round(self) -> Option<Round> {
        match self {
            Self::Items => Some(Round(0)),
            Self::Plain | Self::Job(_) => None,
        }
    }
}

/// Checks a call and queues it in the running transaction.
pub fn queue(wanted: Wanted<'_>, besides: Besides) -> Result<i64, Error> {
    queue_as(Nature::Plain, wanted, besides)
}

/// The same for a call of which the answer may not be all.
pub fn queue_as(nature: Nature, wanted: Wanted<'_>, besides: Besides) -> Result<i64, Error> {
    let owner = owner::current_role();
    let request = request::check(wanted, owner)?;
    let on_complete =
        besides.on_complete.map(|function| handler::check(owner, function, Takes::Response)).transpose()?;
    let idempotency_key = besides.idempotency_key.map(|key| key.read("idempotency_key")).transpose()?;
    let call = NewCall {
        owner,
        method: request.method.as_str(),
        url: &request.url,
        endpoint: request.endpoint(),
        headers: request.headers.as_deref(),
        body: request.body.as_deref(),
        timeout_ms: request.timeout_ms,
        max_attempts: request.max_attempts,
        run_at: arguments::run_at(besides.run_at)?,
        on_complete: on_complete.map(|handler| handler.function),
        idempotency_key: arguments::idempotency_key(idempotency_key.as_deref())?,
        metadata: besides.metadata.map(arguments::metadata).transpose()?,
        stream: arguments::stream(besides.stream)?,
        terms: nature.terms(),
        round: nature.round(),
    };
    let id = write(call)?;
    wake::at_commit(reason::CALLS);
    Ok(id)
}

/// Writes a call, unless its idempotency key names one that exists.
pub(super) fn write(call: NewCall<'_>) -> Result<i64, Error> {
    let id = queue::next_id()?;
    if let Some(key) = call.idempotency_key
        && let Some(known) = owner::acting(|| claim(&call, key, id))?
    {
        return Ok(known);
    }
    let owner = call.owner;
    queued::may_queue(owner)?;
    owner::confined(|| queue::insert(id, call))?;
    queued::note(owner);
    Ok(id)
}

/// Claims an idempotency key for the call of this id; gives the call that has it already.
fn claim(call: &NewCall<'_>, key: &str, id: i64) -> Result<Option<i64>, Error> {
    let window = Settings::current().idempotency_window;
    let window = Interval::from_micros(i64::try_from(window.as_micros()).unwrap_or(i64::MAX));
    let fingerprint = fingerprint(call);
    match queue::claim_key(call.owner, key, id, &fingerprint, window)? {
        Claim::Ours => Ok(None),
        Claim::Theirs { call, fingerprint: known } if known == fingerprint => Ok(Some(call)),
        Claim::Theirs { call, .. } => Err(Error::KeyTaken { key: key.to_owned(), call }),
    }
}

/// What makes two requests the same: everything that is sent, and how the answer is read.
fn fingerprint(call: &NewCall<'_>) -> Vec<u8> {
    let mut digest = Sha256::new();
    if let Some(terms) = call.terms {
        // No method is this long, so no plain call is hashed alike.
        digest.update(u64::MAX.to_le_bytes());
        digest.update(terms.deadline.as_millis().to_le_bytes());
        digest.update(terms.heartbeat.unwrap_or_default().as_millis().to_le_bytes());
    }
    let endpoint = call.endpoint.unwrap_or("");
    let stream = call.stream.map_or("", Format::name);
    for part in [call.method, endpoint, call.url, call.headers.unwrap_or(""), stream].map(str::as_bytes) {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.update(call.body.unwrap_or_default());
    // Behind the body, so that the calls of before are known by what they were known by.
    if let Some(Round(round)) = call.round {
        digest.update(b"\0items");
        digest.update(round.to_le_bytes());
    }
    digest.finalize().to_vec()
}
