//! What an open websocket writes. Runs on the engine thread.

use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use crate::domain::socket::end::End;
use crate::domain::socket::message::Payload;
use crate::domain::socket::plan::Farewell;

use super::fault::Fault;
use super::keeper::{Keeper, Stage, TO_CLOSE, TO_HEAR_WHY, Writing};

impl<S: AsyncRead + AsyncWrite + Unpin> Keeper<S> {
    pub(super) fn write(&mut self, context: &mut Context<'_>, now: Instant) -> Result<(), End> {
        if matches!(self.stage, Stage::Losing { .. }) {
            return Ok(());
        }
        match self.write_all(context, now) {
            Poll::Pending => self.writing = Writing::Stuck,
            Poll::Ready(Ok(())) => self.writing = Writing::Open,
            Poll::Ready(Err(error)) => self.lose(&error, now)?,
        }
        match &self.stage {
            Stage::Ending { end, .. } if self.writing == Writing::Open => Err(end.clone()),
            _ => Ok(()),
        }
    }

    fn write_all(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<Result<(), Error>> {
        loop {
            ready!(self.line.poll_ready(context))?;
            match self.next_message(now) {
                Some(message) => self.line.put(message)?,
                None => break,
            }
        }
        if self.line.is_dirty() {
            ready!(self.line.poll_flush(context))?;
            let taken = self.acknowledgement.flush(now);
            self.teller.taken(taken);
        }
        Poll::Ready(Ok(()))
    }

    /// What is to be written next, where the peer takes it.
    fn next_message(&mut self, now: Instant) -> Option<Message> {
        let asks = self.acknowledgement.ask_at();
        match &self.stage {
            Stage::Talking if asks.is_some_and(|at| at <= now) => return Some(self.ping(now)),
            Stage::Leaving { .. } if asks.is_some() && self.queue.is_empty() => return Some(self.ping(now)),
            Stage::Talking | Stage::Leaving { .. } => {}
            Stage::Closing { .. } | Stage::Losing { .. } | Stage::Ending { .. } => return None,
        }
        let message = self.queue.pop_front()?;
        self.acknowledgement.write(now);
        Some(match message.payload {
            Payload::Text(text) => Message::Text(text.into()),
            Payload::Binary(bytes) => Message::Binary(bytes),
        })
    }

    pub(super) fn ping(&mut self, now: Instant) -> Message {
        self.pinged = now;
        Message::Ping(Bytes::copy_from_slice(&self.acknowledgement.ping().to_be_bytes()))
    }

    /// Sends a close frame. What was not written by now is not sent.
    pub(super) fn close(&mut self, farewell: &Farewell) {
        self.queue.clear();
        // What can go wrong shows when it is flushed.
        let _later = self.line.close(farewell.code, &farewell.reason);
        self.stage = Stage::Closing { until: Instant::now() + TO_CLOSE };
    }

    /// The connection cannot be written to. A peer that has closed it may have said why before.
    pub(super) fn lose(&mut self, error: &Error, now: Instant) -> Result<(), End> {
        match &self.stage {
            Stage::Ending { end, .. } | Stage::Losing { end, .. } => Err(end.clone()),
            Stage::Closing { .. } => Err(End::ClosedByUs),
            Stage::Talking | Stage::Leaving { .. } => {
                let end = Fault::of(error, self.rules.max_message_bytes).into();
                self.stage = Stage::Losing { until: now + TO_HEAR_WHY, end };
                self.writing = Writing::Stuck;
                self.queue.clear();
                Ok(())
            }
        }
    }
}
