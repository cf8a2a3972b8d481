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
use crate::domain::stream::ending::{self, Rest, Stop};
use crate::domain::stream::quota::{Exceeded, Quota};
use crate::domain::stream::rules::{Framing, StreamRules};

use super::clock::Stage;
use super::error::{self, Phase};
use super::outbox::Urgency;
use super::spout::Spout;

/// What holds for one stream.
pub(super) struct Terms {
    pub(super) rules: StreamRules,
    pub(super) framing: Framing,
    pub(super) limits: Limits,
    /// When its attempt has to end.
    pub(super) end: Instant,
    pub(super) stage: Stage,
}

/// So much is read before it is looked how far the stream is ahead: of a few bytes each, thousands of events fit into it.
const AT_ONCE: usize = 16 * 1024;

/// A stream that has said that it is over is read on until it has had no event for so long: counts of tokens may follow. Its
/// peer may keep the connection open for hours, in which the call would not have ended.
const GRACE: Duration = Duration::from_secs(2);

/// What has been read of a stream.
struct Reader {
    terms: Terms,
    cutter: Cutter,
    quota: Quota,
    /// Until when more is waited for, once the stream has said that it is over.
    grace: Option<Instant>,
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
    let most = terms.rules.max_total_bytes;
    if response.content_length().is_some_and(|length| length > most) {
        return Err(Failure::from(Exceeded::Read { most }).with_head(head));
    }
    spout.begin(head.clone());
    let mut reader = Reader::new(terms);
    let stop = reader.read(&mut response, spout).await;
    let (events, follower) = (spout.events(), spout.flow().follower());
    match ending::decide(&follower, events, stop) {
        Ok(ended) => Ok(Outcome::Streamed(Box::new(Streamed { head, events, ended, account: follower.account() }))),
        Err(failure) => Err(failure.with_head(head)),
    }
}

// === impl Reader ===

impl Reader {
    fn new(terms: Terms) -> Self {
        let cutter = Cutter::new(terms.framing, terms.rules.max_event_bytes);
        let quota = Quota::new(terms.rules.max_total_bytes);
        Self { terms, cutter, quota, grace: None, events: Vec::new() }
    }

    /// Reads until there is a reason to read no more.
    async fn read(&mut self, response: &mut Response, spout: &mut Spout) -> Stop {
        loop {
            // A small body may unpack into a large one, all of which is there at once.
            consume_budget().await;
            match self.next(response, spout).await {
                Ok(Some(chunk)) => {
                    if let Err(stop) = self.feed_all(&chunk, spout).await {
                        return stop;
                    }
                }
                Ok(None) => return self.finish(spout),
                Err(stop) => return stop,
            }
        }
    }

    /// Waits until the stream may be read on. This time is not held against the peer, but for the limit of the whole attempt.
    async fn until_free(&self, spout: &Spout) -> Result<(), Stop> {
        if spout.flow().is_full() {
            let free = timeout_at(self.terms.end, spout.flow().until_free()).await;
            free.map_err(|_elapsed| Stop::Late(error::no_end(&self.terms.limits)))?;
        }
        Ok(())
    }

    /// What comes next; `None` at the end.
    async fn next(&self, response: &mut Response, spout: &Spout) -> Result<Option<Bytes>, Stop> {
        let Terms { rules, limits, end, stage, .. } = &self.terms;
        self.until_free(spout).await?;
        if self.grace.is_some_and(|grace| Instant::now() >= grace) {
            return Err(Stop::Ended(Rest::Nothing));
        }
        let silent = rules.idle.and_then(|idle| Some((idle, Instant::now().checked_add(idle)?)));
        let silent = silent.filter(|(_, until)| until < end);
        let until = silent.map_or(*end, |(_, until)| until);
        match timeout_at(self.grace.map_or(until, |grace| until.min(grace)), response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(cause)) => Err(Stop::Broken(error::failure(&cause, Phase::Stream, *stage))),
            Err(_elapsed) => Err(Stop::Late(match silent {
                Some((idle, _)) => error::idle(idle),
                None => error::no_end(limits),
            })),
        }
    }

    /// Reads a chunk, however large it is, no faster than its events are stored.
    async fn feed_all(&mut self, chunk: &[u8], spout: &mut Spout) -> Result<(), Stop> {
        for part in chunk.chunks(AT_ONCE) {
            self.until_free(spout).await?;
            self.feed(part, spout).map_err(Stop::Exceeded)?;
        }
        Ok(())
    }

    /// Reads a part of a chunk, as far as the stream may go on. The same bytes make the same events, however they were cut.
    fn feed(&mut self, part: &[u8], spout: &mut Spout) -> Result<(), Failure> {
        let fitting = self.quota.read(part);
        let fed = self.cutter.feed(fitting, SystemTime::now(), &mut self.events);
        self.hand_on(spout)?;
        fed?;
        if fitting.len() < part.len() { Err(self.quota.too_much().into()) } else { Ok(()) }
    }

    /// The answer has ended in good order, as far as HTTP knows.
    fn finish(&mut self, spout: &mut Spout) -> Stop {
        let rest = self.cutter.finish(SystemTime::now(), &mut self.events);
        if let Err(exceeded) = self.hand_on(spout) {
            return Stop::Exceeded(exceeded.into());
        }
        if let Rest::Unfinished(data) = &rest {
            // It is no event, but it may say that the stream is complete.
            spout.flow().follower().note(data);
        }
        Stop::Ended(rest)
    }

    /// Hands on what may be kept of the events that have come.
    fn hand_on(&mut self, spout: &mut Spout) -> Result<(), Exceeded> {
        let kept = self.quota.keep(&mut self.events);
        if matches!(self.terms.framing, Framing::Raw(_)) {
            // Text is only text, and has no events of its own.
            spout.pour_text(&mut self.events, self.terms.rules.max_event_bytes);
        } else {
            let urgency = self.follow(spout);
            spout.pour(&mut self.events, urgency);
        }
        kept
    }

    /// Reads what the events mean for the stream. The last one does not wait for others: after it there may be none, although
    /// the connection stays open.
    fn follow(&mut self, spout: &Spout) -> Urgency {
        let mut follower = spout.flow().follower();
        self.events.iter().for_each(|event| follower.note(&event.data));
        if !follower.is_over() || self.events.is_empty() {
            return Urgency::Soon;
        }
        let before = self.grace.replace(Instant::now() + GRACE);
        if before.is_none() { Urgency::Now } else { Urgency::Soon }
    }
}
