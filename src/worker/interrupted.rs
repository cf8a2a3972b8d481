//! The rows of calls that were on the wire when their dispatcher ended: sent again, given up, or cut off.
//!
//! Runs on the main thread of a dispatcher that takes over. What becomes of which is decided by `domain::interruption`.

use std::time::SystemTime;

use super::outbox::Outbox;
use super::settle::{Whose, note};
use crate::domain::call::Final;
use crate::domain::interruption::{Fate, Interruption};
use crate::store::attempts::FailedTry;
use crate::store::deferred::{Deferral, Until};
use crate::store::recovery::Interrupted;
use crate::store::responses::{Ending, StreamEnd, Trace};

/// Writes what becomes of one of them.
pub fn write(found: &Interrupted, interruption: Interruption, now: SystemTime, outbox: &mut Outbox) {
    let Interruption { fate, interruptions, class, why } = interruption;
    let Interrupted { call, slot, number, owner, on_complete, .. } = *found;
    let trace = Trace { error_class: Some(class.name()), error: Some(why), ..Trace::default() };
    let whose = Whose { call, slot, owner, on_complete };
    let put_off = |interruptions| Deferral { call, slot, tries: number, interruptions, until: Until::Due(now) };
    match fate {
        Fate::BrokenOff => {
            let streaming = found.stream.clone().unwrap_or_default();
            let trace = Trace { status: streaming.status, ..trace };
            let stream = Some(StreamEnd { events: Some(streaming.events), ..StreamEnd::default() });
            let ending = whose.unanswered(Final::Truncated, number, trace, now);
            note(Ending { headers: streaming.headers, stream, ..ending }, &whose, outbox);
        }
        Fate::GivenUp => {
            let stream = found.stream.as_ref().map(|_| StreamEnd::default());
            note(Ending { stream, ..whose.unanswered(Final::Failed, number, trace, now) }, &whose, outbox);
        }
        Fate::SentAgain => {
            outbox.failed_tries.push(FailedTry { call, slot, number, trace, retry_at: now });
            outbox.deferrals.push(put_off(interruptions));
        }
        // What was said of it is all that there is to be said of the attempt.
        Fate::TakenUp => outbox.deferrals.push(put_off(found.interruptions)),
    }
}
