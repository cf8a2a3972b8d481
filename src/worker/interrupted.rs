//! Calls that were on the wire when their dispatcher ended: sent again, given up, or cut off.
//!
//! Runs on the main thread of a dispatcher that takes over.

use std::time::SystemTime;

use super::outbox::Outbox;
use super::settle::{Whose, note};
use crate::domain::call::Final;
use crate::domain::interruption::{Fate, fate};
use crate::domain::outcome::FailureClass;
use crate::store::attempts::FailedTry;
use crate::store::deferred::{Deferral, Until};
use crate::store::recovery::{Interrupted, Streaming};
use crate::store::responses::{Ending, StreamEnd, Trace};

/// What is known of a job that was on the wire when its dispatcher ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// Nothing was said of it, and nothing can be from now on.
    No,
    /// It was said how it ended, or a session is just about to say something.
    Perhaps,
}

/// Writes what becomes of a job that was on the wire when its dispatcher ended.
pub fn interrupted_job(
    found: &Interrupted,
    reported: Reported,
    max_interruptions: u32,
    now: SystemTime,
    outbox: &mut Outbox,
) -> Fate {
    match reported {
        Reported::No => interrupted(found, max_interruptions, now, outbox),
        // Nothing is written of the attempt before that is known: its delivery is left open, and whoever takes the job up next
        // sees whether it was reported on or interrupted.
        Reported::Perhaps => {
            let Interrupted { call, slot, number, interruptions, .. } = *found;
            outbox.deferrals.push(Deferral { call, slot, tries: number, interruptions, until: Until::Due(now) });
            Fate::SentAgain
        }
    }
}

/// Writes what becomes of a call that was on the wire when its dispatcher ended.
pub fn interrupted(found: &Interrupted, max_interruptions: u32, now: SystemTime, outbox: &mut Outbox) -> Fate {
    let interruptions = found.interruptions + 1;
    let streaming = found.stream.clone().unwrap_or_default();
    let trace = Trace {
        error_class: Some(FailureClass::Interrupted.name()),
        error: Some(format!(
            "the worker or the server ended during the attempt ({interruptions} of {max_interruptions})"
        )),
        ..Trace::default()
    };
    let fate = fate(streaming.events, interruptions, max_interruptions);
    match fate {
        Fate::BrokenOff => broken_off(found, &streaming, now, outbox),
        Fate::GivenUp => {
            let whose = whose(found);
            let stream = found.stream.as_ref().map(|_| StreamEnd::default());
            note(Ending { stream, ..whose.unanswered(Final::Failed, found.number, trace, now) }, &whose, outbox);
        }
        Fate::SentAgain => {
            let Interrupted { call, slot, number, .. } = *found;
            outbox.failed_tries.push(FailedTry { call, slot, number, trace, retry_at: now });
            outbox.deferrals.push(Deferral { call, slot, tries: number, interruptions, until: Until::Due(now) });
        }
    }
    fate
}

/// Ends a call whose answer was being streamed when its dispatcher ended.
fn broken_off(found: &Interrupted, streaming: &Streaming, now: SystemTime, outbox: &mut Outbox) {
    let trace = Trace {
        status: streaming.status,
        error_class: Some(FailureClass::Truncated.name()),
        error: Some("the worker or the server ended while the answer was being streamed".to_owned()),
        ..Trace::default()
    };
    let whose = whose(found);
    let stream = Some(StreamEnd { events: Some(streaming.events), ..StreamEnd::default() });
    let headers = streaming.headers.clone();
    note(Ending { headers, stream, ..whose.unanswered(Final::Truncated, found.number, trace, now) }, &whose, outbox);
}

fn whose(found: &Interrupted) -> Whose {
    let Interrupted { call, slot, owner, on_complete, .. } = *found;
    Whose { call, slot, owner, on_complete }
}
