//! How one attempt of a call ended: a response, a stream of events, or a failure with a class.

use super::stream::follower::{Account, Ended};
use bytes::Bytes;

pub use super::failure_class::{FailureClass, Retryability};

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
    /// How it ended. It can only be truncated or given up after an event; a failure is one that the stream itself told of.
    pub ended: Ended,
    /// What it told of itself.
    pub account: Account,
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
    /// What they told of the stream, where they told something.
    pub account: Option<Box<Account>>,
}

impl Streamed {
    /// What is wrong with it, where something is: the class, and the sentence for the user.
    pub fn fault(&self) -> Option<(FailureClass, &str)> {
        match &self.ended {
            Ended::Complete => None,
            Ended::Truncated(why) => Some((FailureClass::Truncated, why)),
            Ended::GivenUp(class, why) => Some((*class, why)),
            Ended::Failed(why) => Some((FailureClass::Stream, why)),
        }
    }
}

impl Failure {
    /// A failure before any part of an answer came.
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), head: None, events: 0, account: None }
    }

    /// The same failure, after so many events of the answer that told so much.
    #[must_use]
    pub fn after_events(mut self, events: u64, account: Account) -> Self {
        self.events = events;
        self.account = (account != Account::default()).then(|| Box::new(account));
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
