//! How one attempt of a call ended: a response, or a failure with a class.
//!
//! Whether a failure may be retried, and whether it costs one of the call's attempts, is a property
//! of its class. It is decided here, where the knowledge is, and nowhere else.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::stream::dialect::Dialect;
use super::stream::follower::Ended;

/// How one attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The peer answered, with whatever status.
    Response(Response),
    /// The peer answered with a stream of events, all of which have been handed on.
    Streamed(Box<Streamed>),
    /// There is no whole answer.
    Failure(Failure),
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status line and headers.
    pub head: Head,
    /// The decoded body, never larger than the attempt's limit.
    pub body: Bytes,
}

/// An answer that came event by event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streamed {
    /// Status line and headers. The status is a 2xx one.
    pub head: Head,
    /// How many events it had.
    pub events: u64,
    /// How many bytes it had, after decompression.
    pub bytes: u64,
    /// How it ended. It can only be truncated after an event; a failure is one that the stream itself told of.
    pub ended: Ended,
    /// Whose events they were, where that is known.
    pub dialect: Option<Dialect>,
    /// The tokens used, as the vendor counts them.
    pub usage: Option<Map<String, Value>>,
    /// From the start of the attempt to the first event.
    pub first_event: Option<Duration>,
}

/// The part of an answer that comes before its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// HTTP status code.
    pub status: u16,
    /// Headers in the order they came; a name may occur more than once, a value may be any bytes.
    pub headers: Vec<(String, Bytes)>,
}

/// An attempt without a whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure it was.
    pub class: FailureClass,
    /// One sentence for the user. Never holds a URL, a header or a body.
    pub message: String,
    /// The head, where the answer broke off or was refused after it.
    pub head: Option<Head>,
    /// How many events of the answer had been handed on before.
    pub events: u64,
}

/// The kinds of failure, as SQL names them in `error_class`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// The host's name could not be resolved.
    Dns,
    /// The host, or its address, is one that pg_edge's settings do not let calls go to.
    Blocked,
    /// No connection could be made.
    Connect,
    /// No connection was made in time.
    ConnectTimeout,
    /// The TLS handshake failed.
    Tls,
    /// The connection stood, but no response head came in time.
    FirstByteTimeout,
    /// The whole attempt took too long.
    Timeout,
    /// The peer broke the HTTP protocol or closed the connection before the answer was whole.
    Protocol,
    /// The peer had begun to stream its answer, and then sent nothing for too long.
    IdleTimeout,
    /// The peer redirected the call to where it may not follow, or too often.
    Redirect,
    /// The response body is larger than allowed.
    ResponseTooLarge,
    /// One event of a streamed answer is larger than allowed.
    EventTooLarge,
    /// The stored call cannot be turned into a request.
    InvalidRequest,
    /// A placeholder for a secret has no value that can be sent.
    Secret,
    /// The user cancelled the call.
    Cancelled,
    /// The worker or the server ended while the attempt was in flight.
    Interrupted,
    /// This process has no file descriptor or memory left for the attempt.
    Exhausted,
    /// A fault of pg_edge itself.
    Internal,
    /// The peer answered with a status that is not a success.
    HttpStatus,
    /// The peer said in the middle of its stream that it had failed.
    Stream,
    /// The stream ended before it said that it was over.
    Truncated,
    /// The call grew too old before it could be sent.
    Expired,
}

/// What a failure means for the call it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retryability {
    /// Trying again may help; the attempt counts.
    Retry,
    /// Trying again cannot help.
    Final,
    /// Our own fault: try again, and the attempt does not count.
    Uncharged,
}

impl FailureClass {
    /// Every class.
    pub const ALL: [Self; 22] = [
        Self::Dns,
        Self::Blocked,
        Self::Connect,
        Self::ConnectTimeout,
        Self::Tls,
        Self::FirstByteTimeout,
        Self::Timeout,
        Self::Protocol,
        Self::IdleTimeout,
        Self::Redirect,
        Self::ResponseTooLarge,
        Self::EventTooLarge,
        Self::InvalidRequest,
        Self::Secret,
        Self::Cancelled,
        Self::Interrupted,
        Self::Exhausted,
        Self::Internal,
        Self::HttpStatus,
        Self::Stream,
        Self::Truncated,
        Self::Expired,
    ];

    /// The class's name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Blocked => "blocked",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls => "tls",
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::IdleTimeout => "idle_timeout",
            Self::Redirect => "redirect",
            Self::ResponseTooLarge => "response_too_large",
            Self::EventTooLarge => "event_too_large",
            Self::InvalidRequest => "invalid_request",
            Self::Secret => "secret",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::Exhausted => "exhausted",
            Self::Internal => "internal",
            Self::HttpStatus => "http",
            Self::Stream => "stream",
            Self::Truncated => "truncated",
            Self::Expired => "expired",
        }
    }

    /// Whether a failure of this class may be retried, and at whose cost.
    ///
    /// A status is decided by the policy, so [`FailureClass::HttpStatus`] is final here.
    pub fn retryability(self) -> Retryability {
        match self {
            Self::Dns
            | Self::Connect
            | Self::ConnectTimeout
            | Self::Tls
            | Self::FirstByteTimeout
            | Self::Timeout
            | Self::Protocol
            | Self::IdleTimeout
            | Self::Internal => Retryability::Retry,
            Self::Blocked
            | Self::Redirect
            | Self::ResponseTooLarge
            | Self::EventTooLarge
            | Self::InvalidRequest
            | Self::Secret
            | Self::Cancelled
            | Self::HttpStatus
            | Self::Stream
            | Self::Truncated
            | Self::Expired => Retryability::Final,
            Self::Interrupted | Self::Exhausted => Retryability::Uncharged,
        }
    }
}

impl Failure {
    /// A failure before any part of an answer came.
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), head: None, events: 0 }
    }

    /// The same failure, after so many events of the answer.
    #[must_use]
    pub fn after_events(mut self, events: u64) -> Self {
        self.events = events;
        self
    }

    /// Whether the call may be tried again, and at whose cost. Once an event has been handed on it may not, whatever
    /// happened then: somebody has read it, and a second answer would not go on where the first one ended.
    pub fn retryability(&self) -> Retryability {
        if self.events > 0 { Retryability::Final } else { self.class.retryability() }
    }

    /// The same failure, with the head that had come before it.
    pub fn with_head(mut self, head: Head) -> Self {
        self.head = Some(head);
        self
    }
}

impl Outcome {
    /// The status and headers, where any came.
    pub fn head(&self) -> Option<&Head> {
        match self {
            Self::Response(response) => Some(&response.head),
            Self::Streamed(streamed) => Some(&streamed.head),
            Self::Failure(failure) => failure.head.as_ref(),
        }
    }
}

impl Head {
    /// The memory that the names and values of the headers take.
    pub fn held_bytes(&self) -> usize {
        self.headers.iter().map(|(name, value)| name.capacity() + value.len()).sum()
    }

    /// The first value of a header, where it is text. Names compare without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }
}
