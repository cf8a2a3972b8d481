//! Whether an answer is read as a stream, in which format, and how much of it.

use std::time::Duration;

use encoding_rs::{Encoding, UTF_8};

use crate::domain::text;

/// What an attempt says of the stream that it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamRules {
    /// How its events are told apart.
    pub format: Format,
    /// The largest event, in bytes.
    pub max_event_bytes: usize,
    /// The largest stream, after decompression, in bytes.
    pub max_total_bytes: u64,
    /// The longest time without a byte from the peer; `None` means that only the attempt's total limit counts.
    pub idle: Option<Duration>,
}

/// How a call asks for its answer to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As server-sent events.
    Sse,
    /// As one value of JSON a line.
    JsonLines,
    /// As text, piece by piece as it comes.
    Raw,
    /// By its content type. One that names no stream of events is a body like any other.
    Auto,
}

/// There is no such format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no stream format \"{}\"; there are sse, ndjson, raw and auto", .0.escape_debug())]
pub struct UnknownFormat(String);

/// How an answer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// As server-sent events.
    Sse,
    /// As one value of JSON a line.
    JsonLines,
    /// As text in this encoding.
    Raw(&'static Encoding),
}

/// What the standard has event streams called.
const EVENTS: &str = "text/event-stream";

/// No registered name exists for lines of JSON, so several are in use. The one with `stream+` is an older one of a
/// widespread framework.
const JSON_LINES: [&str; 9] = [
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonl",
    "application/jsonlines",
    "application/x-jsonlines",
    "application/json-lines",
    "application/stream+json",
    "text/x-ndjson",
];

/// What servers say of event streams, beside the right name: nothing in particular.
const NOTHING_IN_PARTICULAR: [&str; 2] = ["text/plain", "application/octet-stream"];

impl Format {
    /// Reads a format's name in SQL.
    pub fn parse(name: &str) -> Result<Self, UnknownFormat> {
        match name {
            "sse" => Ok(Self::Sse),
            "ndjson" => Ok(Self::JsonLines),
            "raw" => Ok(Self::Raw),
            "auto" => Ok(Self::Auto),
            other => Err(UnknownFormat(other.to_owned())),
        }
    }

    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sse => "sse",
            Self::JsonLines => "ndjson",
            Self::Raw => "raw",
            Self::Auto => "auto",
        }
    }

    /// How an answer of this status and content type is read; `None` where it is a plain body. An answer that is no success
    /// is never a stream: its body says what went wrong. Of the others all can be read as text and as lines, whatever the
    /// peer says; but read as events, a document of another kind would be nothing at all, so that one stays a body.
    pub fn framing(self, status: u16, content_type: Option<&str>) -> Option<Framing> {
        if !(200..300).contains(&status) {
            return None;
        }
        match self {
            Self::Sse => content_type.is_none_or(may_hold_events).then_some(Framing::Sse),
            Self::JsonLines => Some(Framing::JsonLines),
            Self::Raw => Some(Framing::Raw(encoding(content_type))),
            Self::Auto => by_content_type(content_type?),
        }
    }
}

fn may_hold_events(content_type: &str) -> bool {
    let essence = essence(content_type);
    let names = NOTHING_IN_PARTICULAR.iter().chain(&[EVENTS, ""]);
    names.into_iter().any(|name| essence.eq_ignore_ascii_case(name))
}

fn by_content_type(content_type: &str) -> Option<Framing> {
    let essence = essence(content_type);
    if essence.eq_ignore_ascii_case(EVENTS) {
        return Some(Framing::Sse);
    }
    JSON_LINES.iter().any(|name| essence.eq_ignore_ascii_case(name)).then_some(Framing::JsonLines)
}

/// A content type without its parameters.
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Events and JSON are always UTF-8; plain text is what its charset says. An unknown one is read as UTF-8, as well as can be.
fn encoding(content_type: Option<&str>) -> &'static Encoding {
    let label = content_type.and_then(text::charset);
    label.and_then(|label| Encoding::for_label(label.as_bytes())).unwrap_or(UTF_8)
}
