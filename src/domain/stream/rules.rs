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

impl Format {
    /// How an answer of this status and content type is read; `None` where it is a plain body. What the call says wins
    /// over what the peer says, but an answer that is no success is never a stream: its body says what went wrong.
    pub fn framing(self, status: u16, content_type: Option<&str>) -> Option<Framing> {
        if !(200..300).contains(&status) {
            return None;
        }
        match self {
            Self::Sse => Some(Framing::Sse),
            Self::JsonLines => Some(Framing::JsonLines),
            Self::Raw => Some(Framing::Raw(encoding(content_type))),
            Self::Auto => by_content_type(content_type?),
        }
    }
}

fn by_content_type(content_type: &str) -> Option<Framing> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("text/event-stream") {
        return Some(Framing::Sse);
    }
    JSON_LINES.iter().any(|name| essence.eq_ignore_ascii_case(name)).then_some(Framing::JsonLines)
}

/// Events and JSON are always UTF-8; plain text is what its charset says. An unknown one is read as UTF-8, as well as can be.
fn encoding(content_type: Option<&str>) -> &'static Encoding {
    let label = content_type.and_then(text::charset);
    label.and_then(|label| Encoding::for_label(label.as_bytes())).unwrap_or(UTF_8)
}
