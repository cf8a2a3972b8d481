//! The kinds of failure.
//!
//! Whether a failure may be retried, and whether it costs one of the call's attempts, is a property
//! of its class. It is decided here, where the knowledge is, and nowhere else.

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
    /// A streamed answer ended before it was complete.
    Truncated,
    /// A streamed answer said itself that it failed.
    Stream,
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
    /// The call grew too old before it could be sent.
    Expired,
    /// A job's function had accepted it, and was not heard of in time.
    LeaseExpired,
    /// A job's function said that it failed.
    Job,
    /// The list of items that the call sent was too much at once, and is sent as two calls.
    Split,
    /// Some of the items that the call sent have failed, and are not sent again.
    Items,
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
    pub const ALL: [Self; 26] = [
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
        Self::Truncated,
        Self::Stream,
        Self::InvalidRequest,
        Self::Secret,
        Self::Cancelled,
        Self::Interrupted,
        Self::Exhausted,
        Self::Internal,
        Self::HttpStatus,
        Self::Expired,
        Self::LeaseExpired,
        Self::Job,
        Self::Split,
        Self::Items,
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
            Self::Truncated => "truncated",
            Self::Stream => "stream",
            Self::InvalidRequest => "invalid_request",
            Self::Secret => "secret",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::Exhausted => "exhausted",
            Self::Internal => "internal",
            Self::HttpStatus => "http",
            Self::Expired => "expired",
            Self::LeaseExpired => "lease_expired",
            Self::Job => "job",
            Self::Split => "split",
            Self::Items => "items",
        }
    }

    /// Whether a failure of this class may be retried, and at whose cost.
    ///
    /// A status is decided by the policy, so [`FailureClass::HttpStatus`] is final here; and of jobs that were accepted
    /// `domain::job` decides.
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
            | Self::Truncated
            | Self::Stream
            | Self::InvalidRequest
            | Self::Secret
            | Self::Cancelled
            | Self::HttpStatus
            | Self::Expired
            | Self::LeaseExpired
            | Self::Job
            | Self::Split
            | Self::Items => Retryability::Final,
            Self::Interrupted | Self::Exhausted => Retryability::Uncharged,
        }
    }
}
