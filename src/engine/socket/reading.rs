//! What an open websocket reads. Runs on the engine thread.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use crate::domain::socket::close_code;
use crate::domain::socket::end::End;
use crate::domain::socket::message::{Payload, Received};

use super::fault::Fault;
use super::keeper::{Keeper, Stage, TO_CLOSE};

/// How many frames are read before others have their turn.
const BATCH: usize = 256;

/// What the library answers to a close code that it does not know, and says that the peer sent.
const UNKNOWN_CODE: &str = "Protocol violation";

/// What a turn of reading came to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// There is nothing more, or it is not to be read.
    Done,
    /// There may be more, but it is the turn of others.
    Paused,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Keeper<S> {
    pub(super) fn read(&mut self, context: &mut Context<'_>, now: Instant) -> Result<Reading, End> {
        let read = self.read_batch(context, now);
        self.teller.hand_over();
        read
    }

    fn read_batch(&mut self, context: &mut Context<'_>, now: Instant) -> Result<Reading, End> {
        // All that is read in one turn had come by then.
        let at = SystemTime::now();
        let mut frames = 0;
        while frames < BATCH {
            if matches!(self.stage, Stage::Ending { .. }) || !self.has_room(context, now) {
                return Ok(self.heard(frames, now));
            }
            let Poll::Ready(next) = self.line.poll_next(context) else { return Ok(self.heard(frames, now)) };
            match next {
                Some(Ok(frame)) => self.hear(frame, at, now)?,
                Some(Err(error)) => self.stumble(&error, now)?,
                None => self.stumble(&Error::ConnectionClosed, now)?,
            }
            frames += 1;
        }
        Ok(Reading::Paused)
    }

    /// So many frames have been read, and there are no more. Only now is it judged what the peer owes: a pong may have come
    /// behind the rest.
    fn heard(&mut self, frames: usize, now: Instant) -> Reading {
        if frames > 0 {
            let taken = self.acknowledgement.hear(now);
            self.teller.taken(taken);
        }
        Reading::Done
    }

    /// Whether the main thread has room for more.
    fn has_room(&mut self, context: &mut Context<'_>, now: Instant) -> bool {
        loop {
            match &mut self.free {
                Some(free) => {
                    if free.as_mut().poll(context).is_pending() {
                        return false;
                    }
                    self.free = None;
                    self.line.resume(now);
                    self.acknowledgement.resume(now);
                }
                None if self.teller.flow().is_full() => {
                    let flow = Arc::clone(self.teller.flow());
                    self.free = Some(Box::pin(async move { flow.until_free().await }));
                }
                None => return true,
            }
        }
    }

    fn hear(&mut self, frame: Message, at: SystemTime, now: Instant) -> Result<(), End> {
        match frame {
            Message::Text(text) => {
                self.teller.collect(Received { at, payload: Payload::Text(text.as_str().to_owned()) });
            }
            // Copied out of the read buffer, so as not to keep it alive.
            Message::Binary(bytes) => {
                self.teller.collect(Received { at, payload: Payload::Binary(Bytes::copy_from_slice(&bytes)) });
            }
            // Another number than one of eight bytes is not ours.
            Message::Pong(number) => {
                if let Ok(number) = number.as_ref().try_into() {
                    let taken = self.acknowledgement.pong(u64::from_be_bytes(number));
                    self.teller.taken(taken);
                }
            }
            Message::Close(frame) => return self.hear_close(frame, now),
            Message::Ping(_) | Message::Frame(_) => {}
        }
        Ok(())
    }

    fn hear_close(&mut self, frame: Option<CloseFrame>, now: Instant) -> Result<(), End> {
        self.queue.clear();
        if matches!(self.stage, Stage::Closing { .. }) {
            // It may answer ours, or have crossed it: then it tells nothing of what was read. So it counts for nothing.
            return Err(End::ClosedByUs);
        }
        let end = match frame {
            None => End::ClosedByPeer { code: None, reason: String::new() },
            Some(frame) => self.closed_by_peer(u16::from(frame.code), frame.reason.as_str()),
        };
        if matches!(self.stage, Stage::Losing { .. }) {
            return Err(end);
        }
        self.stage = Stage::Ending { until: now + TO_CLOSE, end };
        Ok(())
    }

    /// The peer has closed it, or so the library says: codes that it does not know it tells as this one.
    fn closed_by_peer(&self, code: u16, reason: &str) -> End {
        let told = if reason == UNKNOWN_CODE { close_code::at_end_of(self.line.ear().last()) } else { None };
        match told.unwrap_or(code) {
            told if told == code => End::ClosedByPeer { code: Some(code), reason: reason.to_owned() },
            told if close_code::may_be_sent(told) => End::ClosedByPeer { code: Some(told), reason: String::new() },
            told => End::Violation { code: 1002, message: format!("the server closed with the invalid code {told}") },
        }
    }

    /// Nothing more can be read.
    fn stumble(&mut self, error: &Error, now: Instant) -> Result<(), End> {
        match &self.stage {
            Stage::Closing { .. } => return Err(End::ClosedByUs),
            Stage::Losing { end, .. } => return Err(end.clone()),
            _ => self.queue.clear(),
        }
        match Fault::of(error, self.rules.max_message_bytes) {
            Fault::Violation { code, reason, message } => {
                let _later = self.line.close(code, reason);
                self.stage = Stage::Ending { until: now + TO_CLOSE, end: End::Violation { code, message } };
                Ok(())
            }
            lost @ Fault::Lost(_) => Err(lost.into()),
        }
    }
}
