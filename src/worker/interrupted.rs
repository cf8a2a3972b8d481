//! Calls that were on the wire when their dispatcher ended: sent again, given up, or cut off.
//!
//! Runs on the main thread of a dispatcher that takes over.

use std::time::SystemTime;

use super::outbox::Outbox;
use super::settle::{Whose, note};
use crate::domain::call::Final;
use crate::domain::outcome::FailureClass;
use crate::store::attempts::FailedTry;
use crate::store::deferred::{Deferral, Until};
use crate::store::recovery::{Interrupted, Streaming};
use crate::store::responses::{Ending, StreamEnd, Trace};

/// Sends a call again that was on the wire when its dispatcher ended, or gives it up when that happened too often. One whose
/// answer had begun to land is not sent again: somebody may have read of it.
pub fn interrupted(found: &Interrupted, max_interruptions: u32, now: SystemTime, outbox: &mut Outbox) {
    let (call, slot) = (found.call, found.slot);
    if let Some(stream) = found.stream.as_ref().filter(|stream| stream.events > 0) {
        return broken_off(found, stream, now, outbox);
    }
    let interruptions = found.interruptions + 1;
    let trace = Trace {
        error_class: Some(FailureClass::Interrupted.name()),
        error: Some(format!(
            "the worker or the server ended during the attempt ({interruptions} of {max_interruptions})"
        )),
        ..Trace::default()
    };
    if interruptions >= max_interruptions {
        let whose = Whose { call, slot, owner: found.owner, on_complete: found.on_complete };
        let stream = found.stream.as_ref().map(|_| StreamEnd::default());
        note(Ending { stream, ..whose.unanswered(Final::Failed, found.number, trace, now) }, &whose, outbox);
        return;
    }
    outbox.failed_tries.push(FailedTry { call, slot, number: found.number, trace, retry_at: now });
    outbox.deferrals.push(Deferral { call, slot, tries: found.number, interruptions, until: Until::Due(now) });
}

/// Ends a call whose answer was being streamed when its dispatcher ended.
fn broken_off(found: &Interrupted, streaming: &Streaming, now: SystemTime, outbox: &mut Outbox) {
    let Interrupted { call, slot, owner, on_complete, number, .. } = *found;
    let trace = Trace {
        status: streaming.status,
        error_class: Some(FailureClass::Truncated.name()),
        error: Some("the worker or the server ended while the answer was being streamed".to_owned()),
        ..Trace::default()
    };
    let whose = Whose { call, slot, owner, on_complete };
    let stream = Some(StreamEnd { events: Some(streaming.events), ..StreamEnd::default() });
    let headers = streaming.headers.clone();
    note(Ending { headers, stream, ..whose.unanswered(Final::Truncated, number, trace, now) }, &whose, outbox);
}
