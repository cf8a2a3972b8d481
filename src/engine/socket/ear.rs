//! A connection that remembers when it was last heard, and the last bytes of it. Runs on the engine thread.
//!
//! A peer that sends one large message slowly is alive all the while; its messages alone would not show it. The last bytes
//! are for close codes that the library does not know, and tells as another one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The longest close frame that a server sends.
const FRAME: usize = 127;

/// The connection, with an ear to it.
pub(super) struct Ear<S> {
    stream: S,
    heard: Instant,
    last: [u8; FRAME],
    length: usize,
}

// === impl Ear ===

impl<S> Ear<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, heard: Instant::now(), last: [0; FRAME], length: 0 }
    }

    /// When the last byte was read.
    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// Time in which nothing was read is not held against the peer.
    pub(super) fn resume(&mut self, now: Instant) {
        self.heard = now;
    }

    /// The last bytes that were read.
    pub(super) fn last(&self) -> &[u8] {
        &self.last[..self.length]
    }

    fn remember(&mut self, bytes: &[u8]) {
        let fresh = &bytes[bytes.len().saturating_sub(FRAME)..];
        let kept = self.length.min(FRAME - fresh.len());
        self.last.copy_within(self.length - kept..self.length, 0);
        self.length = kept + fresh.len();
        self.last[kept..self.length].copy_from_slice(fresh);
        self.heard = Instant::now();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Ear<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let fresh = &buffer.filled()[before..];
        if !fresh.is_empty() {
            self.remember(fresh);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Ear<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::{Ear, FRAME};

    #[test]
    fn the_last_bytes_are_remembered_however_they_came() {
        let all: Vec<u8> = (0..=250).collect();
        for cut in [1, 2, 3, 60, 126, 127, 128, 250] {
            let mut ear = Ear::new(());
            for part in all.chunks(cut) {
                ear.remember(part);
            }
            assert_eq!(ear.last(), &all[all.len() - FRAME..], "in parts of {cut}");
        }
        let mut ear = Ear::new(());
        ear.remember(b"ab");
        ear.remember(b"c");
        assert_eq!(ear.last(), b"abc");
    }
}
