//! One websocket as the dispatcher's memory holds it.

use std::time::{Instant, SystemTime};

use crate::domain::cursor::IdRange;
use crate::domain::socket::course::{self, Course};
use crate::domain::socket::outgoing::Outgoing;
use crate::domain::socket::verdict::Judged;
use crate::store::sockets::standing::Wanted;
use crate::store::sockets::states::{Counts, Left, State, Unsent};

/// A websocket that is wanted, or was.
pub(super) struct Held {
    pub wish: Wanted,
    pub course: Course,
    pub outgoing: Outgoing,
    pub shown: Shown,
    pub counts: Counts,
    pub past: Past,
    /// The state that is written, and that those who listen were told.
    pub told: &'static str,
    /// When it is to be looked at, as the agenda has it.
    pub wakes_at: Option<Instant>,
    /// Messages on disk that are to be given up.
    pub gives_up: Option<IdRange>,
}

/// Whether it was open before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Past {
    New,
    WasOpen,
}

/// What users see of it beside its state.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    pub opened_at: Option<SystemTime>,
    pub last_error: Option<String>,
    pub handshake_status: Option<u16>,
    pub subprotocol: Option<String>,
    pub close_code: Option<u16>,
    pub close_reason: Option<String>,
}

impl Held {
    /// One that nothing is known of but that it is wanted. Its messages may be on disk from `unsent_from` on.
    pub fn new(wish: Wanted, unsent_from: Option<i64>) -> Self {
        let mut outgoing = Outgoing::default();
        if let Some(from) = unsent_from {
            outgoing.leave_on_disk(from);
        }
        Self {
            course: Course::new(wish.max_age),
            wish,
            outgoing,
            shown: Shown::default(),
            counts: Counts::default(),
            past: Past::New,
            told: course::State::Connecting.name(),
            wakes_at: None,
            gives_up: None,
        }
    }

    /// One of which a predecessor has left something. What had come to its end stays there, unless it is wanted anew.
    pub fn left(wish: Wanted, left: Left) -> Self {
        let Left { revision, state, last_error, handshake_status, close_code, close_reason, counts, .. } = left;
        let unsent_from = (left.unsent == Unsent::Some).then_some(left.unsent_from);
        let is_the_same = wish.revision == revision;
        let mut held = Self::new(wish, unsent_from);
        held.counts = counts;
        if counts != Counts::default() || state == course::State::Open.name() {
            held.past = Past::WasOpen;
        }
        let ended = [course::State::Closed, course::State::Failed].into_iter().find(|ended| ended.name() == state);
        if let (true, Some(ended)) = (is_the_same, ended) {
            held.course = Course::ended(ended, held.wish.max_age);
            held.shown = Shown { last_error, handshake_status, close_code, close_reason, ..Shown::default() };
        }
        held.told = name_of(&state);
        held
    }

    /// What is written of it. `floor` is the id below which nothing new can appear.
    pub fn state(&self, floor: i64, received: i64, now: SystemTime, clock: Instant) -> State {
        let at = |moment: Instant| now + moment.saturating_duration_since(clock);
        let given_up = self.gives_up.map_or(i64::MAX, |range| range.first);
        State {
            connection: self.wish.connection,
            revision: self.wish.revision,
            name: self.course.state().name(),
            opened_at: self.shown.opened_at,
            next_try_at: self.course.next_try().map(at),
            last_error: self.shown.last_error.clone(),
            handshake_status: self.shown.handshake_status,
            subprotocol: self.shown.subprotocol.clone(),
            close_code: self.shown.close_code,
            close_reason: self.shown.close_reason.clone(),
            counts: Counts { received: self.counts.received + received, ..self.counts },
            unsent_from: self.outgoing.floor().min(floor).min(given_up),
        }
    }

    /// It stands, and what was wrong before is of no interest any more.
    pub fn show_open(&mut self, subprotocol: Option<String>, now: SystemTime) {
        if self.past == Past::WasOpen {
            self.counts.reconnects += 1;
        }
        self.past = Past::WasOpen;
        self.shown = Shown { opened_at: Some(now), subprotocol: subprotocol.map(clean), ..Shown::default() };
    }

    /// It has ended, or could not be opened.
    pub fn show_end(&mut self, judged: Judged) {
        self.shown = Shown {
            last_error: judged.error.map(clean),
            handshake_status: judged.handshake_status,
            close_code: judged.close_code,
            close_reason: judged.close_reason.map(clean),
            ..Shown::default()
        };
    }

    /// It could not be replaced, and stays as it is.
    pub fn show_trouble(&mut self, judged: Judged) {
        self.shown.last_error = judged.error.map(clean);
        self.shown.handshake_status = judged.handshake_status;
    }
}

/// The state that a row names.
fn name_of(state: &str) -> &'static str {
    use course::State::{Closed, Closing, Connecting, Failed, Open, Waiting};
    let known = [Connecting, Open, Waiting, Closing, Closed, Failed].map(course::State::name);
    known.into_iter().find(|name| *name == state).unwrap_or_default()
}

/// What a peer has written, as Postgres can hold it.
fn clean(text: String) -> String {
    if text.contains('\0') { text.replace('\0', " ") } else { text }
}
