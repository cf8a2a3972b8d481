//! From a case, and the row of its job, to the rows that are written. What follows from what is `domain::job`'s.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::super::settle::{self, Grounds, Unsent, Whose, note};
use super::decide::{Circumstances, Decided};
use super::subject::Subject;
use super::{Case, Why};
use crate::domain::attempt::Report;
use crate::domain::call::Final;
use crate::domain::header::block;
use crate::domain::interruption::{Fate, Interruption};
use crate::domain::job::{self, Again, Course, Delivery, Said, Setback, Terms};
use crate::domain::outcome::FailureClass;
use crate::domain::profile::diagnosis::Diagnosis;
use crate::domain::tally::CallEnd;
use crate::store::attempts::FailedTry;
use crate::store::deferred::Until;
use crate::store::jobs::deliveries::Acceptance;
use crate::store::jobs::hold::Answer;
use crate::store::recovery::Interrupted;
use crate::store::responses::{Ending, Trace};
use crate::store::scan::Queued;
use crate::worker::interrupted;
use crate::worker::ledger::{InFlight, Source};
use crate::worker::trace::{numbers, trace};

/// Adds what follows from a case.
pub(super) fn carry_out(case: &Case, given: &Circumstances<'_>, decided: &mut Decided) {
    match case {
        Case::Answered { terms, report, entry } => answered(terms, report, entry, given, decided),
        Case::Unstorable { terms, report, entry, reason } => {
            unstorable(terms, report, entry, reason, given, decided);
        }
        Case::Resting { queued, source, why } => resting(queued, *source, why, given, decided),
    }
}

fn answered(terms: &Terms, report: &Report, entry: &InFlight, given: &Circumstances<'_>, decided: &mut Decided) {
    let headers = report.outcome.head().map(block::of_answer);
    let diagnosis = Diagnosis::of(given.policy.profile, &report.outcome);
    let answer = Answer { trace: trace(report, &diagnosis), headers, url: entry.url.clone() };
    let subject = Subject::of_flight(report.call, entry, answer);
    match job::after_answer(terms, given.delivery(), &report.outcome, given.now) {
        Course::Said(said) => follow(said, subject, given, decided),
        Course::Accepted { until } => accepted(subject, until, given, decided),
        Course::Lapsed => lapsed(subject, given, decided),
        Course::AsAnyCall | Course::Interrupted => as_any_call(report, entry, given, decided),
    }
}

fn accepted(subject: Subject, until: SystemTime, given: &Circumstances<'_>, decided: &mut Decided) {
    subject.put_off(Until::Due(until), &mut decided.rows);
    let Subject { whose: Whose { call, .. }, answer, .. } = subject;
    decided.accepted.push(Acceptance { call, at: given.now, lease_until: until, answer });
}

/// The function had nothing to accept or has not accepted it: the answer is the outcome, and the policy decides.
fn as_any_call(report: &Report, entry: &InFlight, given: &Circumstances<'_>, decided: &mut Decided) {
    let diagnosis = Diagnosis::of(given.policy.profile, &report.outcome);
    let Circumstances { policy, now, random, .. } = *given;
    let grounds = Grounds { policy, diagnosis: &diagnosis, now, random };
    let settled = settle::settle(report.clone(), entry, grounds, &mut decided.rows);
    match settled.ended.call {
        CallEnd::Retried => decided.over.push(report.call),
        CallEnd::Succeeded | CallEnd::Failed | CallEnd::Open => decided.ended.push(report.call),
    }
    decided.ends.push((given.lane.clone(), settled.ended.call));
}

/// An answer that cannot be stored ends its call, as that of any other call does, unless the function has reported or accepted: for
/// that, what it sent besides is not needed.
fn unstorable(
    terms: &Terms,
    report: &Report,
    entry: &InFlight,
    reason: &str,
    given: &Circumstances<'_>,
    decided: &mut Decided,
) {
    let answer = Answer { trace: numbers(report), headers: None, url: entry.url.clone() };
    let subject = Subject::of_flight(report.call, entry, answer);
    match job::after_answer(terms, given.delivery(), &report.outcome, given.now) {
        Course::Said(said) => follow(said, subject, given, decided),
        Course::Accepted { until } => accepted(subject, until, given, decided),
        Course::Lapsed => lapsed(subject, given, decided),
        Course::AsAnyCall | Course::Interrupted => {
            let error = format!("the answer could not be stored: {reason}");
            end(subject, Final::Failed, Some((FailureClass::Internal, error)), given, decided);
        }
    }
}

fn resting(queued: &Queued, source: Source, why: &Why, given: &Circumstances<'_>, decided: &mut Decided) {
    let subject = || Subject::of_rest(queued, source, given);
    match (job::at_rest(given.delivery(), given.now), why) {
        (Course::Said(said), _) => follow(said, subject(), given, decided),
        (Course::Accepted { .. } | Course::Lapsed, Why::Ends(Unsent::Cancelled)) => {
            decided.rows.settled_cancellations.push(queued.id.0);
            let error = "the call was cancelled after its function had accepted it".to_owned();
            end(subject(), Final::Cancelled, Some((FailureClass::Cancelled, error)), given, decided);
        }
        (_, Why::Ends(unsent)) => {
            settle::end_unsent(queued, source, unsent.clone(), given.now, &mut decided.rows);
            decided.ended.push(queued.id);
        }
        (Course::Accepted { until }, Why::Due | Why::Said | Why::Unsettled) => {
            subject().put_off(Until::Due(until), &mut decided.rows);
        }
        (Course::Lapsed, Why::Due | Why::Said | Why::Unsettled) => lapsed(subject(), given, decided),
        (Course::Interrupted, Why::Due | Why::Said | Why::Unsettled) => interrupted(queued, given, decided),
        // It was taken out of where it waited, and there was no reason to.
        (Course::AsAnyCall, Why::Due | Why::Said | Why::Unsettled) => {
            subject().put_off(Until::Due(given.now), &mut decided.rows);
        }
    }
}

/// A delivery that was on the wire when the last dispatcher ended, while somebody held its row, and on which nobody has reported.
fn interrupted(queued: &Queued, given: &Circumstances<'_>, decided: &mut Decided) {
    let found = Interrupted {
        call: queued.id,
        slot: queued.slot,
        owner: queued.owner,
        on_complete: queued.on_complete,
        number: queued.tries,
        interruptions: queued.interruptions,
        stream: None,
        is_job: true,
    };
    let interruption = Interruption::of_call(0, found.interruptions, given.max_interruptions);
    let fate = interruption.fate;
    interrupted::write(&found, interruption, given.now, &mut decided.rows);
    match fate {
        Fate::SentAgain | Fate::TakenUp => decided.over.push(queued.id),
        Fate::GivenUp | Fate::BrokenOff => {
            decided.rows.undeferred.push(queued.id.0);
            decided.ended.push(queued.id);
        }
    }
}

/// Does what the function has said.
fn follow(said: Said, subject: Subject, given: &Circumstances<'_>, decided: &mut Decided) {
    match said {
        Said::Completed(result) => completed(result, subject, given, decided),
        Said::Failed { error, again: Again::InVain } => {
            end(subject, Final::Failed, Some((FailureClass::Job, error)), given, decided);
        }
        Said::Failed { error, again: Again::Welcome } => {
            failed(subject, (FailureClass::Job, error), Setback::Failure, given, decided);
        }
    }
}

fn completed(result: Option<String>, mut subject: Subject, given: &Circumstances<'_>, decided: &mut Decided) {
    // What came of the delivery besides no longer matters: neither an error nor the headers of its answer.
    (subject.answer.trace.error_class, subject.answer.trace.error) = (None, None);
    subject.answer.headers = result.is_some().then(|| "content-type: application/json\n".to_owned());
    end(subject, Final::Succeeded, None, given, decided);
    decided.rows.endings.change_last(|ending| ending.body = result.map(Bytes::from));
}

fn lapsed(subject: Subject, given: &Circumstances<'_>, decided: &mut Decided) {
    let error = given.delivery().map_or_else(|| "the job's delivery is not known any more".to_owned(), silence);
    failed(subject, (FailureClass::LeaseExpired, error), Setback::Silence, given, decided);
}

/// How long nothing was heard of a job whose lease has run out.
fn silence(delivery: &Delivery) -> String {
    let since = [Some(delivery.sent_at), delivery.accepted_at, delivery.heard_at];
    let last = since.into_iter().flatten().max().unwrap_or(delivery.sent_at);
    let silent = delivery.lease_until.duration_since(last).unwrap_or_default();
    format!("the function has accepted the job, and was not heard of for {} s", seconds(silent))
}

fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10.0).round() / 10.0
}

/// Delivers a job again whose delivery has failed, or ends it.
fn failed(
    subject: Subject,
    (class, error): (FailureClass, String),
    setback: Setback,
    given: &Circumstances<'_>,
    decided: &mut Decided,
) {
    let next = job::next_delivery(given.policy, &subject.history, setback, given.now, given.random);
    let Some(at) = next else {
        return end(subject, Final::Failed, Some((class, error)), given, decided);
    };
    subject.put_off(Until::Due(at), &mut decided.rows);
    let Subject { whose: Whose { call, slot, .. }, number, answer, .. } = subject;
    let trace = Trace { error_class: Some(class.name()), error: Some(error), ..answer.trace };
    decided.rows.failed_tries.push(FailedTry { call, slot, number, trace, retry_at: at });
    decided.over.push(call);
    decided.ends.push((given.lane.clone(), CallEnd::Retried));
}

/// Ends a job.
fn end(
    subject: Subject,
    state: Final,
    error: Option<(FailureClass, String)>,
    given: &Circumstances<'_>,
    decided: &mut Decided,
) {
    let Subject { whose, number, answer: Answer { mut trace, headers, url }, source, .. } = subject;
    if let Some((class, error)) = error {
        (trace.error_class, trace.error) = (Some(class.name()), Some(error));
    }
    note(Ending { url, headers, ..whose.unanswered(state, number, trace, given.now) }, &whose, &mut decided.rows);
    if source.is_some_and(Source::is_deferred) {
        decided.rows.undeferred.push(whose.call.0);
    }
    decided.ended.push(whose.call);
    let end = if state == Final::Succeeded { CallEnd::Succeeded } else { CallEnd::Failed };
    decided.ends.push((given.lane.clone(), end));
}
