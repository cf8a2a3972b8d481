//! A job that something is decided of, wherever it is: on the wire, or at rest.

use super::super::outbox::Outbox;
use super::super::settle::Whose;
use super::decide::Circumstances;
use crate::domain::call::CallId;
use crate::domain::retry::History;
use crate::store::deferred::{Deferral, Until};
use crate::store::jobs::hold::{Answer, Row};
use crate::store::scan::Queued;
use crate::worker::ledger::{InFlight, Source};

/// What is known of it.
pub(super) struct Subject {
    pub(super) whose: Whose,
    pub(super) number: u32,
    pub(super) history: History,
    pub(super) answer: Answer,
    /// Where it rests.
    pub(super) source: Option<Source>,
    interruptions: u32,
}

impl Subject {
    /// One that is back from the wire.
    pub(super) fn of_flight(call: CallId, entry: &InFlight, answer: Answer) -> Self {
        let (number, interruptions) = (entry.number, entry.interruptions);
        Self {
            whose: Whose { call, slot: entry.slot, owner: entry.owner, on_complete: entry.on_complete },
            number,
            interruptions,
            history: History::of(number, interruptions, entry.max_attempts, entry.born_at),
            answer,
            source: None,
        }
    }

    /// One that is not on the wire.
    pub(super) fn of_rest(queued: &Queued, source: Source, given: &Circumstances<'_>) -> Self {
        let (number, interruptions) = (queued.tries, queued.interruptions);
        Self {
            whose: Whose { call: queued.id, slot: queued.slot, owner: queued.owner, on_complete: queued.on_complete },
            number,
            interruptions,
            history: History::of(number, interruptions, queued.max_attempts, queued.born_at()),
            answer: given.row.map(|row| answer(row, given)).unwrap_or_default(),
            source: Some(source),
        }
    }

    /// Lets it wait in the table of deferred calls.
    pub(super) fn put_off(&self, until: Until, rows: &mut Outbox) {
        let Self { whose: Whose { call, slot, .. }, number, interruptions, .. } = *self;
        rows.deferrals.push(Deferral { call, slot, tries: number, interruptions, until });
    }
}

/// What the function has answered. Where its answer never came, the attempt lasted until now, when its report is taken up.
fn answer(row: &Row, given: &Circumstances<'_>) -> Answer {
    let mut answer = row.answer.clone();
    if let (None, Some(delivery)) = (answer.trace.started_at, &row.delivery) {
        answer.trace.started_at = Some(delivery.sent_at);
        answer.trace.timings.total = given.now.duration_since(delivery.sent_at).unwrap_or_default();
    }
    answer
}
