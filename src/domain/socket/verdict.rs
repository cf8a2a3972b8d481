//! What follows from the end of a websocket.

use std::time::{Duration, SystemTime};

use super::end::{End, Refusal};
use crate::domain::failure_class::FailureClass;
use crate::domain::outcome::Failure;
use crate::domain::retry;

/// The longest wait that a peer's `Retry-After` may ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(600);

/// How long a peer is left alone that says it is overloaded.
const OVERLOADED: Duration = Duration::from_secs(10);

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is opened again, not before so much time has passed.
    Reconnect {
        /// Zero, unless the peer asked for more.
        least: Duration,
    },
    /// It was closed in good order, and stays closed.
    Closed,
    /// Trying again would come to the same.
    Failed,
}

/// The end of a websocket, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What is to be done.
    pub verdict: Verdict,
    /// One sentence for the user; `None` where nothing went wrong.
    pub error: Option<String>,
    /// The HTTP status of the answer to the handshake, where that was not a websocket.
    pub handshake_status: Option<u16>,
    /// How the peer closed it.
    pub close_code: Option<u16>,
    /// What it said of that.
    pub close_reason: Option<String>,
}

impl Judged {
    fn new(verdict: Verdict, error: impl Into<Option<String>>) -> Self {
        Self { verdict, error: error.into(), handshake_status: None, close_code: None, close_reason: None }
    }

    /// Nothing was tried, since there is something in the way that may pass.
    pub fn held_back(why: impl Into<String>, least: Duration) -> Self {
        Self::new(Verdict::Reconnect { least }, why.into())
    }

    /// Nothing was tried, and trying would be of no use.
    pub fn unusable(why: impl Into<String>) -> Self {
        Self::new(Verdict::Failed, why.into())
    }
}

/// What follows from an end, where the longest wait of our own is `max_backoff`.
pub fn judge(end: &End, max_backoff: Duration, now: SystemTime) -> Judged {
    match end {
        End::Refused(refusal) => after_refusal(refusal, now),
        End::Failed(failure) => after_failure(failure),
        End::ClosedByPeer { code, reason } => after_close(*code, reason, max_backoff),
        End::ClosedByUs => Judged::new(Verdict::Closed, None),
        End::Violation { code, message } => {
            Judged { close_code: Some(*code), ..Judged::new(Verdict::Failed, message.clone()) }
        }
        End::Silent => Judged::new(AT_ONCE, "the peer was silent for too long".to_owned()),
    }
}

/// It may be opened again as soon as one likes.
pub const AT_ONCE: Verdict = Verdict::Reconnect { least: Duration::ZERO };

/// A server that is overloaded, starting or out of order may take the next handshake; one that says no does so again.
fn after_refusal(refusal: &Refusal, now: SystemTime) -> Judged {
    let verdict = match refusal.status {
        408 | 425 | 429 | 500..=599 => {
            let at = refusal.retry_after.as_deref().and_then(|value| retry::read_retry_after(value, now));
            let least = at.and_then(|at| at.duration_since(now).ok()).unwrap_or_default();
            Verdict::Reconnect { least: least.min(LONGEST_RETRY_AFTER) }
        }
        _ => Verdict::Failed,
    };
    Judged { handshake_status: Some(refusal.status), ..Judged::new(verdict, refusal.message.clone()) }
}

fn after_failure(failure: &Failure) -> Judged {
    let verdict = match failure.class {
        FailureClass::Dns
        | FailureClass::Connect
        | FailureClass::ConnectTimeout
        | FailureClass::Tls
        | FailureClass::FirstByteTimeout
        | FailureClass::Timeout
        | FailureClass::IdleTimeout
        | FailureClass::Truncated
        // The connection was lost. One that breaks the protocol is told so, and is a violation.
        | FailureClass::Protocol
        | FailureClass::Interrupted
        | FailureClass::Exhausted
        | FailureClass::Internal => AT_ONCE,
        FailureClass::Blocked
        | FailureClass::Redirect
        | FailureClass::ResponseTooLarge
        | FailureClass::EventTooLarge
        | FailureClass::Stream
        | FailureClass::InvalidRequest
        | FailureClass::Secret
        | FailureClass::Cancelled
        | FailureClass::HttpStatus
        | FailureClass::Expired
        | FailureClass::LeaseExpired
        | FailureClass::Job
        | FailureClass::Split
        | FailureClass::Items => Verdict::Failed,
    };
    Judged::new(verdict, failure.message.clone())
}

/// RFC 6455, section 7.4, and the codes registered since. Without a code the peer has closed it in good order too.
fn after_close(code: Option<u16>, reason: &str, max_backoff: Duration) -> Judged {
    let verdict = match code {
        None | Some(1000) => Verdict::Closed,
        Some(1013) => Verdict::Reconnect { least: OVERLOADED.min(max_backoff) },
        Some(1001 | 1006 | 1011 | 1012 | 1014) => AT_ONCE,
        Some(_) => Verdict::Failed,
    };
    let error = code.filter(|_| verdict != Verdict::Closed).map(|code| sentence(code, reason));
    let close_reason = Some(reason.to_owned()).filter(|reason| !reason.is_empty());
    Judged { close_code: code, close_reason, ..Judged::new(verdict, error) }
}

fn sentence(code: u16, reason: &str) -> String {
    let said = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    match meaning(code) {
        Some(meaning) => format!("the peer closed the connection with code {code}, {meaning}{said}"),
        None => format!("the peer closed the connection with code {code}{said}"),
    }
}

fn meaning(code: u16) -> Option<&'static str> {
    Some(match code {
        1001 => "going away",
        1002 => "protocol error",
        1003 => "unsupported data",
        1007 => "invalid data",
        1008 => "policy violation",
        1009 => "message too big",
        1010 => "mandatory extension",
        1011 => "internal error",
        1012 => "service restart",
        1013 => "try again later",
        1014 => "bad gateway",
        _ => return None,
    })
}
