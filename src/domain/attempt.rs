//! One try of a call on the wire: what it is given, and what is measured of it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::call::CallId;
use super::outcome::Outcome;
use super::request::Request;
use super::stream::rules::StreamRules;

/// Everything needed to try a call once.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The call it belongs to.
    pub call: CallId,
    /// 1 for the first try. Sent as `X-Edge-Attempt`.
    pub number: u32,
    /// What to send.
    pub request: Request,
    /// How long and how much.
    pub limits: Limits,
    /// How it may travel.
    pub route: Route,
    /// How its answer is streamed, where it is to be.
    pub stream: Option<StreamRules>,
}

/// How an attempt may travel. The default follows no redirect and shows no certificate.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// How many redirects are followed; with 0 a redirect is an answer like any other.
    pub redirects: u8,
    /// The client certificate, for peers that ask for one.
    pub identity: Option<Arc<Identity>>,
}

/// A client certificate with its key. Both are PEM; what they hold is checked when they are used.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, then those that lead from it to an authority the peer knows.
    pub certificate_chain: Bytes,
    /// The private key.
    pub key: Bytes,
}

/// The limits of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Making a connection: name, TCP and TLS together. A redirect that needs another one has this long again.
    pub connect: Duration,
    /// From the start to the last byte of the answer.
    pub total: Duration,
    /// From the start to the response head; `None` means only `total` counts.
    pub first_byte: Option<Duration>,
    /// The largest response body, after decompression, in bytes.
    pub max_response_bytes: usize,
}

/// What is known of an attempt once it has ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// The call it belonged to.
    pub call: CallId,
    /// The number it was sent under.
    pub number: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// When it began.
    pub started_at: SystemTime,
    /// How long its parts took.
    pub timings: Timings,
    /// The address that answered.
    pub remote: Option<SocketAddr>,
}

/// How long the parts of an attempt took. `None` where a part did not happen, as on a reused connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Name resolution.
    pub dns: Option<Duration>,
    /// TCP connect, after name resolution.
    pub connect: Option<Duration>,
    /// TLS handshake.
    pub tls: Option<Duration>,
    /// From the start of the attempt to the response head.
    pub first_byte: Option<Duration>,
    /// The whole attempt.
    pub total: Duration,
}

// === impl Identity ===

impl fmt::Debug for Identity {
    /// Shows nothing: the key is a secret, and what is derived from this may be logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}
