//! From an answer to a list of items to the rows that are written of it.

use std::time::SystemTime;

use bytes::Bytes;

use crate::domain::attempt::Report;
use crate::domain::batch::{self, Round, Upshot};
use crate::domain::breaker::Health;
use crate::domain::call::Final;
use crate::domain::outcome::{FailureClass, Outcome, Response};
use crate::domain::profile::diagnosis::Diagnosis;
use crate::domain::retry::{health, is_too_old, retry_after};
use crate::domain::retry_policy::RetryPolicy;
use crate::domain::tally::{CallEnd, Ended, Reach};
use crate::store::offspring::{Parent, Standing};
use crate::worker::batches::offspring::Offspring;
use crate::worker::ledger::InFlight;
use crate::worker::outbox::Outbox;
use crate::worker::settle::{self, Grounds, Settled};

/// The status of a body that is too large.
const TOO_LARGE: u16 = 413;

/// Adds to the outbox what follows from the answer to a list of items. `sent` is the list, where it can still be read.
pub fn settle(
    report: Report,
    entry: &InFlight,
    sent: Option<&[u8]>,
    grounds: Grounds<'_>,
    outbox: &mut Outbox,
) -> Settled {
    let Grounds { policy, diagnosis, now, random } = grounds;
    let (Outcome::Response(answer), Some(round)) = (&report.outcome, entry.round) else {
        return settle::settle(report, entry, grounds, outbox);
    };
    match batch::upshot(sent, answer) {
        Upshot::Plain => settle::settle(report, entry, grounds, outbox),
        Upshot::Halved(bodies) => {
            let at = halves_at(answer, policy, now, random);
            split(report, entry, diagnosis, (round, bodies.into(), at), now, outbox)
        }
        Upshot::Unclear(why) => fail(report, entry, diagnosis, why, now, outbox),
        Upshot::Again { items, body } => {
            let most = entry.max_attempts.unwrap_or(policy.max_attempts);
            let at = again_at(answer, round, policy, now, random);
            match round.next(most).filter(|_| !is_too_old(policy, entry.born_at, at)) {
                Some(next) => {
                    outbox.offspring.push(offspring(
                        &report,
                        entry,
                        vec![body],
                        next,
                        Some(at),
                        Standing::BesideParent,
                    ));
                    let health = health(&report.outcome);
                    settle::end(report, entry, diagnosis, Final::Succeeded, now, outbox);
                    settled(entry, health, CallEnd::Succeeded)
                }
                None => {
                    let rounds = round.count();
                    let why = format!("{items} of the items have failed in round {rounds}, and are not sent again");
                    fail(report, entry, diagnosis, why, now, outbox)
                }
            }
        }
    }
}

/// When the halves of a list are sent. One that was too large was not looked at; one that used up a function may have left it, or
/// what it works on, in need of a pause.
fn halves_at(answer: &Response, policy: &RetryPolicy, now: SystemTime, random: f64) -> Option<SystemTime> {
    (answer.head.status != TOO_LARGE).then(|| again_at(answer, Round(0), policy, now, random))
}

/// When items that have failed are sent again.
fn again_at(answer: &Response, round: Round, policy: &RetryPolicy, now: SystemTime, random: f64) -> SystemTime {
    let planned = now + policy.wait(round.count(), random);
    retry_after(&answer.head, now).map_or(planned, |asked| asked.max(planned))
}

/// Ends a call whose items are sent in two others. Those have its callback: it would be called back three times otherwise.
fn split(
    report: Report,
    entry: &InFlight,
    diagnosis: &Diagnosis,
    (round, bodies, at): (Round, Vec<Bytes>, Option<SystemTime>),
    now: SystemTime,
    outbox: &mut Outbox,
) -> Settled {
    outbox.offspring.push(offspring(&report, entry, bodies, round, at, Standing::InPlaceOfParent));
    let silent = InFlight { on_complete: None, ..entry.clone() };
    settle::end(report, &silent, diagnosis, Final::Failed, now, outbox);
    explain(outbox, FailureClass::Split, |answered| format!("{answered}, so the items are sent as calls"));
    // How much is too much at once says nothing of how the endpoint is doing: a few long lists would open its breaker, and hold up
    // the very halves that it can take. A single item that is too much counts as any answer does.
    settled(entry, Health::Unknown, CallEnd::Retried)
}

/// Ends a call of whose items some have failed for good.
fn fail(
    report: Report,
    entry: &InFlight,
    diagnosis: &Diagnosis,
    why: String,
    now: SystemTime,
    outbox: &mut Outbox,
) -> Settled {
    let health = health(&report.outcome);
    settle::end(report, entry, diagnosis, Final::Failed, now, outbox);
    explain(outbox, FailureClass::Items, |_| why);
    settled(entry, health, CallEnd::Failed)
}

/// Says in the ending that was noted last why the call has failed.
fn explain(outbox: &mut Outbox, class: FailureClass, why: impl FnOnce(String) -> String) {
    outbox.endings.change_last(|ending| {
        ending.trace.error_class = Some(class.name());
        ending.trace.error = Some(why(ending.trace.error.take().unwrap_or_default()));
    });
}

fn offspring(
    report: &Report,
    entry: &InFlight,
    bodies: Vec<Bytes>,
    round: Round,
    run_at: Option<SystemTime>,
    standing: Standing,
) -> Offspring {
    let parent = Parent { call: report.call, slot: entry.slot };
    Offspring { parent, owner: entry.owner, on_complete: entry.on_complete, bodies, round, run_at, standing }
}

fn settled(entry: &InFlight, health: Health, call: CallEnd) -> Settled {
    Settled { ended: Ended { kind: entry.kind, reach: Reach::Answered, health, call }, parks_endpoint: None }
}
