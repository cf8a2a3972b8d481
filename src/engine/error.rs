//! What an error means: the class it falls into and the sentence a user reads. Runs on the engine thread.
//!
//! The library's errors nest; the innermost says what happened, the clock says how far the connection had come. No
//! message holds a URL, a header or a body.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use crate::domain::attempt::Limits;
use crate::domain::outcome::{Failure, FailureClass};
use crate::domain::stream::TooLarge;
use crate::domain::stream::quota::Exceeded;

use super::clock::Stage;
use super::connector::TooSlow;
use super::door::Refused;
use super::tls_error::about_tls;

/// What was awaited when an error came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Head,
    Body,
    /// More of an answer that is streamed.
    Stream,
}

/// The innermost cause of an error, with what was met on the way there.
struct Cause<'a> {
    innermost: &'a (dyn Error + 'static),
    /// What went wrong with TLS, in plain words.
    tls: Option<String>,
    /// An operating system error that says this process or machine ran out of something.
    exhausted: bool,
}

/// A duration as people write it.
struct Span(Duration);

/// The failure an error of the library stands for.
pub(super) fn failure(error: &reqwest::Error, phase: Phase, stage: Stage) -> Failure {
    let cause = Cause::of(error);
    if let Some(refused) = cause.innermost.downcast_ref::<Refused>() {
        return (*refused).into();
    }
    if let Some(TooSlow(limit)) = cause.innermost.downcast_ref() {
        return no_connection(*limit, stage);
    }
    let (class, what) = match (phase, stage) {
        // Only while connecting is it sure that the peer has not acted yet.
        _ if cause.exhausted && error.is_connect() => (FailureClass::Exhausted, "this process ran out of a resource"),
        _ if error.is_builder() => (FailureClass::InvalidRequest, "the call cannot be turned into a request"),
        _ if cause.tls.is_some() => (FailureClass::Tls, "the TLS handshake failed"),
        _ if error.is_dns() => (FailureClass::Dns, "the name could not be resolved"),
        (_, Stage::Handshaking) if error.is_connect() => (FailureClass::Tls, "the TLS handshake failed"),
        _ if error.is_connect() => (FailureClass::Connect, "no connection could be made"),
        (Phase::Body, _) if error.is_decode() => (FailureClass::Protocol, "the response body cannot be read"),
        (Phase::Body, _) => (FailureClass::Protocol, "the response body broke off"),
        (Phase::Stream, _) => (FailureClass::Protocol, "the stream cannot be read on"),
        (Phase::Head, _) => (FailureClass::Protocol, "no valid response head came"),
    };
    Failure::new(class, format!("{what}: {cause}"))
}

/// No response head came in time: the first-byte limit or, where that is the shorter one, the total limit.
pub(super) fn no_head(limits: &Limits, stage: Stage) -> Failure {
    match limits.first_byte.filter(|first_byte| *first_byte < limits.total) {
        Some(limit) if stage.is_connecting() => no_connection(limit, stage),
        Some(limit) => Failure::new(FailureClass::FirstByteTimeout, format!("no response head within {}", Span(limit))),
        None => Failure::new(
            FailureClass::Timeout,
            format!("no answer within {}: {}", Span(limits.total), awaited(stage, "no response head came")),
        ),
    }
}

/// The head came in time, the end of the body did not.
pub(super) fn no_end(limits: &Limits) -> Failure {
    Failure::new(FailureClass::Timeout, format!("the response body did not end within {}", Span(limits.total)))
}

/// No answer to the handshake of a websocket came in time.
pub(super) fn no_handshake(limit: Duration, stage: Stage) -> Failure {
    if stage.is_connecting() {
        return no_connection(limit, stage);
    }
    Failure::new(FailureClass::FirstByteTimeout, format!("the handshake was not answered within {}", Span(limit)))
}

/// An open websocket has lost its connection.
pub(super) fn lost(cause: Option<&io::Error>) -> Failure {
    let cause = cause.map(|cause| format!(": {}", Cause::of(cause))).unwrap_or_default();
    let message = format!("the connection was lost without a close frame (1006){cause}");
    Failure::new(FailureClass::Protocol, message)
}

/// The body is larger than allowed.
pub(super) fn too_large(limits: &Limits) -> Failure {
    let limit = limits.max_response_bytes;
    Failure::new(FailureClass::ResponseTooLarge, format!("the response body is larger than the limit of {limit} bytes"))
}

/// The peer streams its answer, and nothing more came for too long.
pub(super) fn idle(limit: Duration) -> Failure {
    Failure::new(FailureClass::IdleTimeout, format!("no byte of the stream came for {}", Span(limit)))
}

/// The answer is to be streamed, and is packed in a way that takes too much memory to undo.
pub(super) fn packed() -> Failure {
    Failure::new(FailureClass::Protocol, "the stream is packed in a way that was not asked for; gzip would be")
}

/// The same failure, where it is not the call's own URL that failed.
pub(super) fn after_redirect(mut failure: Failure) -> Failure {
    failure.message.insert_str(0, "after a redirect: ");
    failure
}

fn no_connection(limit: Duration, stage: Stage) -> Failure {
    Failure::new(
        FailureClass::ConnectTimeout,
        format!("no connection within {}: {}", Span(limit), awaited(stage, "the connection was not made")),
    )
}

/// What a connection being made was waiting for.
fn awaited(stage: Stage, otherwise: &'static str) -> &'static str {
    match stage {
        Stage::Resolving => "the name was not resolved",
        Stage::Connecting => "the peer did not accept it",
        Stage::Handshaking => "the TLS handshake did not end",
        Stage::None | Stage::Connected => otherwise,
    }
}

// === impl TooLarge ===

impl From<TooLarge> for Failure {
    fn from(error: TooLarge) -> Self {
        Self::new(FailureClass::EventTooLarge, error.to_string())
    }
}

// === impl Exceeded ===

impl From<Exceeded> for Failure {
    fn from(error: Exceeded) -> Self {
        Self::new(FailureClass::ResponseTooLarge, error.to_string())
    }
}

// === impl Cause ===

impl<'a> Cause<'a> {
    fn of(error: &'a (dyn Error + 'static)) -> Self {
        let mut cause = Self { innermost: error, tls: None, exhausted: false };
        loop {
            cause.tls = cause.tls.or_else(|| about_tls(cause.innermost));
            cause.exhausted |= is_exhausted(cause.innermost);
            match inside(cause.innermost) {
                Some(inner) => cause.innermost = inner,
                None => return cause,
            }
        }
    }
}

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = &self.tls {
            return f.write_str(text);
        }
        match self.innermost.downcast_ref::<io::Error>() {
            Some(error) => f.write_str(&about_io(error)),
            None => {
                let text = self.innermost.to_string();
                // getaddrinfo's errors come with a preface that our own sentence has already said.
                f.write_str(text.trim_start_matches("failed to lookup address information: "))
            }
        }
    }
}

/// The next error inwards. An I/O error that wraps another one names that one's cause as its source and would hide it.
fn inside<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

fn is_exhausted(error: &(dyn Error + 'static)) -> bool {
    let code = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    matches!(code, Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS))
}

/// `connection refused` rather than `Connection refused (os error 111)`.
fn about_io(error: &io::Error) -> String {
    let text = error.to_string();
    let plain = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = plain.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

// === impl Stage ===

impl Stage {
    fn is_connecting(self) -> bool {
        matches!(self, Self::Resolving | Self::Connecting | Self::Handshaking)
    }
}

// === impl Span ===

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.subsec_millis() {
            0 if self.0.as_secs() > 0 => write!(f, "{} s", self.0.as_secs()),
            _ => write!(f, "{} ms", self.0.as_millis()),
        }
    }
}
