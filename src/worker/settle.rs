//! From the report of an attempt to the rows that are written of it.
//!
//! Runs on the main thread of a dispatcher. The decision itself is `domain::retry`'s.

use std::time::SystemTime;

use pgrx::pg_sys;

use super::ledger::{InFlight, Source, Stream};
use super::outbox::Outbox;
use super::rescue::{Refusal, after_refusal};
use super::trace::trace;
use crate::domain::attempt::Report;
use crate::domain::bearing::Bearing;
use crate::domain::breaker::Health;
use crate::domain::call::{CallId, Final};
use crate::domain::header::block;
use crate::domain::outcome::{FailureClass, Outcome};
use crate::domain::profile::diagnosis::Diagnosis;
use crate::domain::retry::{Charge, History, Retry, Verdict, decide};
use crate::domain::retry_policy::RetryPolicy;
use crate::domain::stream::dialect::Dialect;
use crate::domain::stream::follower::Account;
use crate::domain::tally::{CallEnd, Ended, Reach};
use crate::store::attempts::FailedTry;
use crate::store::callbacks::{COLLECTOR, Callback, FOR_COLLECTOR};
use crate::store::deferred::{Deferral, Until};
use crate::store::responses::{Ending, StreamEnd, Trace};
use crate::store::scan::Queued;

/// What an attempt means for its endpoint.
pub struct Settled {
    pub ended: Ended,
    /// The peer wants to be left alone until then.
    pub parks_endpoint: Option<SystemTime>,
}

/// What counts, besides the report, when it is decided what follows from it.
#[derive(Clone, Copy)]
pub struct Grounds<'a> {
    pub policy: &'a RetryPolicy,
    /// What is known of it from what the peer's platform said with its answer.
    pub diagnosis: &'a Diagnosis,
    pub now: SystemTime,
    /// In 0..=1.
    pub random: f64,
}

/// Adds to the outbox what follows from a report.
pub fn settle(report: Report, entry: &InFlight, grounds: Grounds<'_>, outbox: &mut Outbox) -> Settled {
    let Grounds { policy, diagnosis, now, random } = grounds;
    let history = History::of(entry.number, entry.interruptions, entry.max_attempts, entry.born_at);
    let Bearing { reach, health, parks_endpoint } = bearing(&report, entry, policy, diagnosis, now);
    let call_id = report.call;
    let call = match decide(policy, &history, &report.outcome, diagnosis, now, random) {
        Verdict::Retry(retry) => {
            put_off(report, entry, diagnosis, retry, outbox);
            CallEnd::Retried
        }
        Verdict::Succeeded => {
            end(report, entry, diagnosis, Final::Succeeded, now, outbox);
            CallEnd::Succeeded
        }
        Verdict::Truncated => {
            end(report, entry, diagnosis, Final::Truncated, now, outbox);
            CallEnd::Failed
        }
        Verdict::Failed => {
            let state = if was_cancelled(&report.outcome) { Final::Cancelled } else { Final::Failed };
            end(report, entry, diagnosis, state, now, outbox);
            CallEnd::Failed
        }
    };
    if let Some(Stream::Begun(_)) = entry.stream {
        outbox.over.push(call_id.0);
    }
    Settled { ended: Ended { kind: entry.kind, reach, health, call }, parks_endpoint }
}

/// What a report says of its endpoint.
pub(super) fn bearing(
    report: &Report,
    entry: &InFlight,
    policy: &RetryPolicy,
    diagnosis: &Diagnosis,
    now: SystemTime,
) -> Bearing {
    if entry.on_complete == Some(FOR_COLLECTOR) {
        Bearing::of_one_apart(&report.outcome)
    } else {
        Bearing::of(&report.outcome, policy, diagnosis, now)
    }
}

/// Ends a call of whose stream an event could not be stored, whatever else became of it.
pub fn settle_refused(
    report: Report,
    entry: &InFlight,
    why: &Refusal,
    now: SystemTime,
    outbox: &mut Outbox,
) -> Settled {
    outbox.over.push(report.call.0);
    end(report, entry, &Diagnosis::default(), Final::Failed, now, outbox);
    outbox.endings.change_last(|ending| *ending = after_refusal(ending, why));
    let ended = Ended { kind: entry.kind, reach: Reach::Answered, health: Health::Unknown, call: CallEnd::Failed };
    Settled { ended, parks_endpoint: None }
}

fn put_off(report: Report, entry: &InFlight, diagnosis: &Diagnosis, retry: Retry, outbox: &mut Outbox) {
    let call = report.call;
    let tries = match retry.charge {
        Charge::Attempt => entry.number,
        // Nothing was sent, so the number is used again.
        Charge::Nothing => entry.number.saturating_sub(1),
    };
    if retry.charge == Charge::Attempt {
        let trace = trace(&report, diagnosis);
        outbox.failed_tries.push(FailedTry { call, slot: entry.slot, number: entry.number, trace, retry_at: retry.at });
    }
    let (slot, interruptions) = (entry.slot, entry.interruptions);
    outbox.deferrals.push(Deferral { call, slot, tries, interruptions, until: Until::Due(retry.at) });
}

/// Adds the end of a call to the outbox.
pub(super) fn end(
    report: Report,
    entry: &InFlight,
    diagnosis: &Diagnosis,
    state: Final,
    now: SystemTime,
    outbox: &mut Outbox,
) {
    let mut trace = trace(&report, diagnosis);
    let mut headers = report.outcome.head().map(block::of_answer);
    if let (None, Some(Stream::Begun(beginning))) = (&headers, &entry.stream) {
        // One that was cancelled had a head, of which its report does not know.
        (trace.status, headers) = (Some(beginning.status), Some(beginning.headers.clone()));
    }
    let stream = entry.stream.as_ref().map(|_| stream_end(&report.outcome));
    let body = match report.outcome {
        Outcome::Response(response) => Some(response.body),
        Outcome::Streamed(_) | Outcome::Failure(_) => None,
    };
    let whose = Whose { call: report.call, slot: entry.slot, owner: entry.owner, on_complete: entry.on_complete };
    let url = entry.url.clone();
    let ending = Ending { url, headers, body, stream, ..whose.unanswered(state, entry.number, trace, now) };
    note(ending, &whose, outbox);
}

/// The call that an ending is written of.
pub(super) struct Whose {
    pub(super) call: CallId,
    pub(super) slot: i16,
    pub(super) owner: pg_sys::Oid,
    pub(super) on_complete: Option<pg_sys::Oid>,
}

impl Whose {
    /// The end of a call that nothing came back of.
    pub(super) fn unanswered(&self, state: Final, attempts: u32, trace: Trace, finished_at: SystemTime) -> Ending {
        let (call, slot, owner) = (self.call, self.slot, self.owner);
        let (url, headers, body, stream) = (None, None, None, None);
        Ending { url, call, slot, owner, state, attempts, finished_at, trace, headers, body, stream }
    }
}

/// Notes the end of a call, and its callback if it has one.
pub(super) fn note(ending: Ending, whose: &Whose, outbox: &mut Outbox) {
    let Whose { call, slot, owner, on_complete } = *whose;
    outbox.endings.push(ending);
    if let Some(function) = on_complete {
        let owner = if function == FOR_COLLECTOR { COLLECTOR } else { owner };
        outbox.callbacks.push(Callback { call, slot, owner, function });
    }
}

/// Why a call ends that is not on the wire.
#[derive(Clone, Debug)]
pub enum Unsent {
    /// Its user cancelled it.
    Cancelled,
    /// Its row cannot be turned into a request; says why.
    Refused(String),
    /// A placeholder for a secret has no value; says why.
    Unresolved(String),
    /// It is older than its endpoint's policy allows.
    Expired,
}

/// Ends a call that is not on the wire.
pub fn end_unsent(queued: &Queued, source: Source, why: Unsent, now: SystemTime, outbox: &mut Outbox) {
    let call = queued.id;
    let (state, class, error) = match why {
        Unsent::Cancelled => {
            outbox.settled_cancellations.push(call.0);
            let again = if queued.tries > 0 { " again" } else { "" };
            (Final::Cancelled, FailureClass::Cancelled, format!("the call was cancelled before it was sent{again}"))
        }
        Unsent::Refused(reason) => (Final::Failed, FailureClass::InvalidRequest, reason),
        Unsent::Unresolved(reason) => (Final::Failed, FailureClass::Secret, reason),
        Unsent::Expired => {
            (Final::Expired, FailureClass::Expired, "the call grew older than its retry policy's max_age".to_owned())
        }
    };
    let trace = Trace { error_class: Some(class.name()), error: Some(error), ..Trace::default() };
    let whose = Whose { call, slot: queued.slot, owner: queued.owner, on_complete: queued.on_complete };
    let stream = queued.stream.map(|_| StreamEnd::default());
    note(Ending { stream, ..whose.unanswered(state, queued.tries, trace, now) }, &whose, outbox);
    if source.is_deferred() {
        outbox.undeferred.push(call.0);
    }
}

/// What is known of a stream at its end.
fn stream_end(outcome: &Outcome) -> StreamEnd {
    match outcome {
        Outcome::Response(_) => StreamEnd::default(),
        Outcome::Failure(failure) => {
            StreamEnd { events: Some(failure.events).filter(|events| *events > 0), ..told(failure.account.as_deref()) }
        }
        Outcome::Streamed(streamed) => StreamEnd { events: Some(streamed.events), ..told(Some(&streamed.account)) },
    }
}

/// What a stream told of itself.
fn told(account: Option<&Account>) -> StreamEnd {
    let Some(Account { dialect, usage }) = account else { return StreamEnd::default() };
    StreamEnd {
        dialect: dialect.map(Dialect::name),
        usage: usage.as_ref().and_then(|usage| serde_json::to_string(usage).ok()),
        ..StreamEnd::default()
    }
}

fn was_cancelled(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failure(failure) if failure.class == FailureClass::Cancelled)
}
