//! From the arguments of an `edge.http_*_async` function to a row in the queue.

use pgrx::datum::{Interval, TimestampWithTimeZone};
use sha2::{Digest, Sha256};

use super::arguments;
use super::handler::{self, Takes};
use super::request::{self, Body, Target, Wanted};
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

/// What a user asked for, unchecked.
pub struct Asked<'a> {
    pub method: &'a str,
    pub target: Target,
    pub body: Body,
    pub params: Option<Jsonb>,
    pub headers: Option<Jsonb>,
    pub timeout: Option<Interval>,
    pub max_attempts: Option<i32>,
    pub run_at: Option<TimestampWithTimeZone>,
    pub idempotency_key: Option<Text>,
    pub stream: Option<Text>,
    pub on_complete: Option<RegProc>,
    pub endpoint: Option<Text>,
    pub metadata: Option<Jsonb>,
}

/// What is to be made of the answer to a call.
#[derive(Clone, Copy, Debug)]
pub enum Plan {
    /// It is the outcome.
    Plain,
    /// It may be that the function has accepted a job.
    Job(Terms),
    /// It may be that some of the items in the body are to be sent again.
    Items,
}

impl Plan {
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
pub fn queue(asked: Asked<'_>) -> Result<i64, Error> {
    queue_as(asked, Plan::Plain)
}

/// The same for a call of which the answer is not all.
pub fn queue_as(asked: Asked<'_>, plan: Plan) -> Result<i64, Error> {
    let owner = owner::current_role();
    let wanted = Wanted {
        method: asked.method,
        target: asked.target,
        body: asked.body,
        params: asked.params,
        headers: asked.headers,
        timeout: asked.timeout,
        max_attempts: asked.max_attempts,
        endpoint: asked.endpoint,
    };
    let request = request::check(wanted, owner)?;
    let on_complete = asked.on_complete.map(|function| handler::check(owner, function, Takes::Response)).transpose()?;
    let idempotency_key = asked.idempotency_key.map(|key| key.read("idempotency_key")).transpose()?;
    let call = NewCall {
        owner,
        method: request.method.as_str(),
        url: &request.url,
        endpoint: request.endpoint(),
        headers: request.headers.as_deref(),
        body: request.body.as_deref(),
        timeout_ms: request.timeout_ms,
        max_attempts: request.max_attempts,
        run_at: arguments::run_at(asked.run_at)?,
        on_complete: on_complete.map(|handler| handler.function),
        idempotency_key: arguments::idempotency_key(idempotency_key.as_deref())?,
        metadata: asked.metadata.map(arguments::metadata).transpose()?,
        stream: arguments::stream(asked.stream)?,
        terms: plan.terms(),
        round: plan.round(),
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
