//! One try of a call on the wire: what it is given, and what is measured of it.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::call::CallId;
use super::outcome::Outcome;
use super::request::Request;

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
}

/// The limits of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
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
