//! How one attempt of a call ended: a response, or a failure with a class.
//!
//! Whether a failure may be retried, and whether it costs one of the call's attempts, is a property
//! of its class. It is decided here, where the knowledge is, and nowhere else.

use bytes::Bytes;

/// How one attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The peer answered, with whatever status.
    Response(Response),
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
    /// The peer redirected the call to where it may not follow, or too often.
    Redirect,
    /// The response body is larger than allowed.
    ResponseTooLarge,
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
    pub const ALL: [Self; 18] = [
        Self::Dns,
        Self::Blocked,
        Self::Connect,
        Self::ConnectTimeout,
        Self::Tls,
        Self::FirstByteTimeout,
        Self::Timeout,
        Self::Protocol,
        Self::Redirect,
        Self::ResponseTooLarge,
        Self::InvalidRequest,
        Self::Secret,
        Self::Cancelled,
        Self::Interrupted,
        Self::Exhausted,
        Self::Internal,
        Self::HttpStatus,
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
            Self::Redirect => "redirect",
            Self::ResponseTooLarge => "response_too_large",
            Self::InvalidRequest => "invalid_request",
            Self::Secret => "secret",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::Exhausted => "exhausted",
            Self::Internal => "internal",
            Self::HttpStatus => "http",
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
            | Self::Internal => Retryability::Retry,
            Self::Blocked
            | Self::Redirect
            | Self::ResponseTooLarge
            | Self::InvalidRequest
            | Self::Secret
            | Self::Cancelled
            | Self::HttpStatus
            | Self::Expired => Retryability::Final,
            Self::Interrupted | Self::Exhausted => Retryability::Uncharged,
        }
    }
}

impl Failure {
    /// A failure before any part of an answer came.
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), head: None }
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
            Self::Failure(failure) => failure.head.as_ref(),
        }
    }
}

impl Head {
    /// The first value of a header, where it is text. Names compare without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }
}
