//! The library's end of an open websocket, in bounds. Runs on the engine thread.
//!
//! The library keeps what cannot be written, so nothing more is given to it before that has gone out. It answers pings by
//! itself, also while writing stands still: a peer that asks and asks and takes no answer is not read any more.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::ear::Ear;

/// What is read at a time. Each websocket has a buffer of this size.
const READ: usize = 4 << 10;

/// What is collected before it is written, where there is more to come.
const WRITE: usize = 16 << 10;

/// How many pings of the peer may be answered and the answers not taken.
const OWED: usize = 256;

/// An open websocket.
pub(super) struct Line<S> {
    stream: WebSocketStream<Ear<S>>,
    /// Something was put, or is owed, since the last flush.
    is_dirty: bool,
    owed: usize,
}

// === impl Line ===

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    /// Takes over a connection whose handshake is done.
    pub(super) async fn new(stream: S, max_message_bytes: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ)
            .write_buffer_size(WRITE)
            .max_message_size(Some(max_message_bytes))
            .max_frame_size(Some(max_message_bytes));
        let stream = WebSocketStream::from_raw_socket(Ear::new(stream), Role::Client, Some(config)).await;
        Self { stream, is_dirty: false, owed: 0 }
    }

    /// Whether something may be put.
    pub(super) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.stream).poll_ready(context)
    }

    /// Puts a message behind those before it. It goes out with the next flush, or before.
    pub(super) fn put(&mut self, message: Message) -> Result<(), Error> {
        self.is_dirty = true;
        Pin::new(&mut self.stream).start_send(message)
    }

    /// Whether there is something to flush.
    pub(super) fn is_dirty(&self) -> bool {
        self.is_dirty
    }

    /// Writes all that was put.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        (self.is_dirty, self.owed) = (false, 0);
        Poll::Ready(Ok(()))
    }

    /// The next message; `None` at the end of a connection that was closed in good order.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        if self.owed >= OWED {
            return Poll::Pending;
        }
        let next = ready!(Pin::new(&mut self.stream).poll_next(context));
        if let Some(Ok(Message::Ping(_) | Message::Close(_))) = &next {
            self.owed += 1;
            self.is_dirty = true;
        }
        Poll::Ready(next)
    }

    /// Puts a close frame, the last thing that is sent.
    pub(super) fn close(&mut self, code: u16, reason: &str) -> Result<(), Error> {
        let frame = CloseFrame { code: code.into(), reason: reason.into() };
        self.put(Message::Close(Some(frame)))
    }

    /// What is known of the peer's last bytes.
    pub(super) fn ear(&self) -> &Ear<S> {
        self.stream.get_ref()
    }

    /// Time in which nothing was read is not held against the peer.
    pub(super) fn resume(&mut self, now: Instant) {
        self.stream.get_mut().resume(now);
    }

    /// The connection itself, for when nothing more is to be understood of it.
    pub(super) fn into_stream(self) -> Ear<S> {
        self.stream.into_inner()
    }
}
