//! Reads an answer event by event, and hands the events on as they come. Runs on the engine thread.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::Response;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, timeout_at};

use crate::domain::attempt::Limits;
use crate::domain::outcome::{Failure, Head, Outcome, Streamed};
use crate::domain::stream::StreamEvent;
use crate::domain::stream::cutter::Cutter;
use crate::domain::stream::follower::{Ended, Follower};
use crate::domain::stream::rules::{Framing, StreamRules};

use super::clock::Stage;
use super::error::{self, Phase};
use super::spout::Spout;

/// What holds for one stream.
pub(super) struct Terms {
    pub(super) rules: StreamRules,
    pub(super) framing: Framing,
    pub(super) limits: Limits,
    /// When its attempt began, and has to end.
    pub(super) began: Instant,
    pub(super) end: Instant,
    pub(super) stage: Stage,
}

/// Why nothing more comes, where the answer has not ended.
enum Stop {
    /// The connection broke, or what came cannot be decoded.
    Broken(Failure),
    /// It took too long.
    Late(Failure),
}

/// What has been read of a stream.
struct Reader {
    terms: Terms,
    cutter: Cutter,
    follower: Follower,
    bytes: u64,
    first_event: Option<Duration>,
    /// Empty between two chunks.
    events: Vec<StreamEvent>,
}

/// Reads the whole stream. Dropping this closes its connection.
pub(super) async fn read(
    mut response: Response,
    head: Head,
    spout: &mut Spout,
    terms: Terms,
) -> Result<Outcome, Failure> {
    if response.content_length().is_some_and(|length| length > terms.rules.max_total_bytes) {
        return Err(error::stream_too_large(&terms.rules).with_head(head));
    }
    spout.begin(head.clone());
    let mut reader = Reader::new(terms);
    let ended = loop {
        // A small body may unpack into a large one, all of which is there at once.
        consume_budget().await;
        match reader.next(&mut response, spout).await {
            Ok(Some(chunk)) => match reader.feed(&chunk, spout) {
                Ok(()) => {}
                Err(failure) => return Err(failure.with_head(head)),
            },
            Ok(None) => break reader.finish(spout),
            Err(stop) => match reader.stopped(stop, spout) {
                Ok(ended) => break ended,
                Err(failure) => return Err(failure.with_head(head)),
            },
        }
    };
    Ok(Outcome::Streamed(Box::new(reader.sum_up(head, ended, spout.events()))))
}

// === impl Reader ===

impl Reader {
    fn new(terms: Terms) -> Self {
        let cutter = Cutter::new(terms.framing, terms.rules.max_event_bytes);
        Self { terms, cutter, follower: Follower::default(), bytes: 0, first_event: None, events: Vec::new() }
    }

    /// What comes next; `None` at the end. Time in which we do not read is not held against the peer, but for the limit
    /// of the whole attempt.
    async fn next(&self, response: &mut Response, spout: &Spout) -> Result<Option<Bytes>, Stop> {
        let Terms { rules, limits, end, stage, .. } = &self.terms;
        if spout.flow().is_full() {
            let free = timeout_at(*end, spout.flow().until_free()).await;
            free.map_err(|_elapsed| Stop::Late(error::no_end(limits)))?;
        }
        let silent = rules.idle.and_then(|idle| Some((idle, Instant::now().checked_add(idle)?)));
        let silent = silent.filter(|(_, until)| until < end);
        match timeout_at(silent.map_or(*end, |(_, until)| until), response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(cause)) => Err(Stop::Broken(error::failure(&cause, Phase::Stream, *stage))),
            Err(_elapsed) => Err(Stop::Late(match silent {
                Some((idle, _)) => error::idle(idle),
                None => error::no_end(limits),
            })),
        }
    }

    /// Reads a chunk, as far as the stream may go on. The same bytes make the same events, however they were cut.
    fn feed(&mut self, chunk: &[u8], spout: &mut Spout) -> Result<(), Failure> {
        let room = self.terms.rules.max_total_bytes - self.bytes;
        let fitting = usize::try_from(room).map_or(chunk, |room| &chunk[..chunk.len().min(room)]);
        self.bytes += fitting.len() as u64;
        let fed = self.cutter.feed(fitting, SystemTime::now(), &mut self.events);
        self.hand_on(spout);
        fed?;
        if fitting.len() < chunk.len() { Err(error::stream_too_large(&self.terms.rules)) } else { Ok(()) }
    }

    /// The answer has ended in good order, as far as HTTP knows.
    fn finish(&mut self, spout: &mut Spout) -> Ended {
        self.cutter.finish(SystemTime::now(), &mut self.events);
        self.hand_on(spout);
        self.follower.ended()
    }

    /// Nothing more comes. A stream that has said that it is over has lost nothing by it. One that has only begun is
    /// cut short by that; where nothing was handed on it is no stream yet, and fails as any call.
    fn stopped(&self, stop: Stop, spout: &Spout) -> Result<Ended, Failure> {
        match stop {
            _ if self.follower.is_over() => Ok(self.follower.ended()),
            Stop::Broken(failure) if spout.events() > 0 => Ok(Ended::Truncated(failure.message)),
            Stop::Late(failure) if spout.events() > 0 => Ok(Ended::GivenUp(failure.class, failure.message)),
            Stop::Broken(failure) | Stop::Late(failure) => Err(failure),
        }
    }

    fn hand_on(&mut self, spout: &mut Spout) {
        if self.events.is_empty() {
            return;
        }
        self.first_event.get_or_insert_with(|| self.terms.began.elapsed());
        // Text is only text.
        if !matches!(self.terms.framing, Framing::Raw(_)) {
            self.events.iter().for_each(|event| self.follower.note(&event.data));
        }
        spout.pour(&mut self.events);
    }

    fn sum_up(self, head: Head, ended: Ended, events: u64) -> Streamed {
        let Self { follower, bytes, first_event, .. } = self;
        let (dialect, usage) = (follower.dialect(), follower.usage().cloned());
        Streamed { head, events, bytes, ended, dialect, usage, first_event }
    }
}
