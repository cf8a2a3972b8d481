//! One websocket to be opened: where, with what, and under which rules.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use url::Url;

use super::acknowledgement::Asking;
use super::message::Payload;
use crate::domain::attempt::Identity;

/// One connection on the wire. Each try to open one has a number of its own, which is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// Everything needed to open a websocket once.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The number it is known by.
    pub socket: SocketId,
    /// Where to; its scheme is `ws` or `wss`.
    pub url: Url,
    /// Sent with the handshake, beside those that make it one.
    pub headers: HeaderMap,
    /// What is offered, most wanted first.
    pub subprotocols: Vec<String>,
    /// The client certificate, for peers that ask for one.
    pub identity: Option<Arc<Identity>>,
    /// How it is kept.
    pub rules: Rules,
}

/// How a websocket is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Making the connection: name, TCP and TLS together.
    pub connect: Duration,
    /// From the start to the answer to the handshake.
    pub handshake: Duration,
    /// How often the peer is pinged.
    pub ping_every: Duration,
    /// A peer that was silent for so long is dead.
    pub dead_after: Duration,
    /// The largest message that is read, in bytes.
    pub max_message_bytes: usize,
    /// Sent as often as a ping, for peers that want to hear something of their own kind.
    pub heartbeat: Option<String>,
    /// When the peer is asked what it has taken.
    pub asking: Asking,
}

/// How a websocket is to be closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Farewell {
    /// The close code.
    pub code: u16,
    /// At most 123 bytes.
    pub reason: String,
}

/// A message on its way to the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Its number.
    pub id: i64,
    /// What it says.
    pub payload: Payload,
}

// === impl SocketId ===

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
