//! What a peer answers: a plain response, a stream in its time, or bytes no honest server would send.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

/// Holds replies back until a test opens it. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    /// A closed gate.
    pub fn closed() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Lets everything through that waits, and all that comes later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Holds back what comes from now on.
    pub fn close(&self) {
        self.0.send_replace(false);
    }

    pub(super) async fn passed(&self) {
        // The sender lives as long as the gate does, so this cannot fail.
        let _ = self.0.subscribe().wait_for(|&open| open).await;
    }
}

/// One thing done after the other.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Send(Bytes),
    Pause(Duration),
    Hold(Gate),
    /// The same bytes, for as long as somebody reads them.
    Forever(Bytes),
}

/// How the steps of a reply are put on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Head with Content-Length, then the steps.
    Length,
    /// Head with `Transfer-Encoding: chunked`, each step a chunk.
    Chunked,
    /// The steps alone.
    Raw,
}

/// What becomes of the connection after the last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The reply is complete and the connection waits for the next request.
    KeepAlive,
    /// Closed in order, but without the last chunk of a chunked body.
    Close,
    /// Closed by RST.
    Reset,
    /// Nothing more is sent, until the client closes.
    Hang,
}

/// An answer under construction. Without further words it is sent at once and the connection is kept.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) before: Vec<Step>,
    pub(super) framing: Framing,
    pub(super) steps: Vec<Step>,
    pub(super) end: End,
}

impl Reply {
    /// A response without a body.
    pub fn status(status: u16) -> Self {
        let (headers, before, steps) = (Vec::new(), Vec::new(), Vec::new());
        Self { status, headers, before, framing: Framing::Length, steps, end: End::KeepAlive }
    }

    /// A JSON response.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::bytes(status, "application/json", body.to_string())
    }

    /// A text response.
    pub fn text(status: u16, body: &str) -> Self {
        Self::bytes(status, "text/plain; charset=utf-8", body.to_owned())
    }

    /// A response with any body.
    pub fn bytes(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::status(status).header("content-type", content_type).send(body)
    }

    /// A chunked response, of which `send`, `pause` and `hold` make the body.
    pub fn stream(content_type: &str) -> Self {
        Self { framing: Framing::Chunked, ..Self::status(200) }.header("content-type", content_type)
    }

    /// A response of no end: 64 KiB after 64 KiB, as fast as they are read.
    pub fn endless() -> Self {
        let mut reply = Self::stream("application/octet-stream");
        reply.steps.push(Step::Forever(Bytes::from(vec![b'x'; 64 * 1024])));
        reply
    }

    /// These bytes instead of a response, then the connection is closed.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self { framing: Framing::Raw, end: End::Close, ..Self::status(0) }.send(bytes)
    }

    /// No answer at all; the connection stays open until the client closes it.
    pub fn hang() -> Self {
        Self { framing: Framing::Raw, ..Self::status(0) }.then_hang()
    }

    /// 200 with the body `{}`, after a while.
    pub fn delay(duration: Duration) -> Self {
        Self::json(200, &serde_json::json!({})).after(duration)
    }

    /// 200 with the body `{}`, once the gate is open.
    pub fn gate(gate: &Gate) -> Self {
        Self::json(200, &serde_json::json!({})).behind(gate)
    }

    /// One more header; the same name may come again.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Nothing is sent before this time has passed.
    #[must_use]
    pub fn after(mut self, duration: Duration) -> Self {
        self.before.push(Step::Pause(duration));
        self
    }

    /// Nothing is sent before the gate is open.
    #[must_use]
    pub fn behind(mut self, gate: &Gate) -> Self {
        self.before.push(Step::Hold(gate.clone()));
        self
    }

    /// One more piece of the body.
    #[must_use]
    pub fn send(mut self, bytes: impl Into<Bytes>) -> Self {
        self.steps.push(Step::Send(bytes.into()));
        self
    }

    /// Waits before the next piece of the body.
    #[must_use]
    pub fn pause(mut self, duration: Duration) -> Self {
        self.steps.push(Step::Pause(duration));
        self
    }

    /// Waits for the gate before the next piece of the body.
    #[must_use]
    pub fn hold(mut self, gate: &Gate) -> Self {
        self.steps.push(Step::Hold(gate.clone()));
        self
    }

    /// Closes the connection after the last piece; a stream so closed was cut.
    #[must_use]
    pub fn then_close(mut self) -> Self {
        self.end = End::Close;
        self
    }

    /// Resets the connection after the last piece.
    #[must_use]
    pub fn then_reset(mut self) -> Self {
        self.end = End::Reset;
        self
    }

    /// Goes silent after the last piece.
    #[must_use]
    pub fn then_hang(mut self) -> Self {
        self.end = End::Hang;
        self
    }
}
