//! Cuts an answer into events, whatever its format.

use std::borrow::Cow;
use std::time::SystemTime;

use super::json_lines::Lines;
use super::raw::Text;
use super::rules::Framing;
use super::sse::{Event, Parser};
use super::{StreamEvent, TooLarge};

/// Reads an answer.
pub enum Cutter {
    /// As server-sent events; what has been read and not been taken.
    Sse(Box<Parser>, Vec<Event>),
    /// As lines of JSON.
    JsonLines(Lines, Vec<String>),
    /// As text.
    Raw(Box<Text>, Vec<String>),
}

impl Cutter {
    /// At the beginning of an answer whose events have `most` bytes each at most. Text has no events of its own and is
    /// cut where it is larger.
    pub fn new(framing: Framing, most: usize) -> Self {
        match framing {
            Framing::Sse => Self::Sse(Box::new(Parser::new(most)), Vec::new()),
            Framing::JsonLines => Self::JsonLines(Lines::new(most), Vec::new()),
            Framing::Raw(encoding) => Self::Raw(Box::new(Text::new(encoding, most)), Vec::new()),
        }
    }

    /// Reads on. Events that are complete go to `events`, also those before one that is too large.
    pub fn feed(&mut self, chunk: &[u8], now: SystemTime, events: &mut Vec<StreamEvent>) -> Result<(), TooLarge> {
        match self {
            Self::Sse(parser, read) => {
                let fed = parser.feed(chunk, read);
                events.extend(read.drain(..).map(|event| typed(event, now)));
                fed
            }
            Self::JsonLines(lines, read) => {
                let fed = lines.feed(chunk, read);
                events.extend(read.drain(..).map(|data| untyped(data, now)));
                fed
            }
            Self::Raw(text, read) => {
                text.feed(chunk, read);
                events.extend(read.drain(..).map(|data| untyped(data, now)));
                Ok(())
            }
        }
    }

    /// The answer has ended in good order. What of it is an event without its end goes to `events`.
    pub fn finish(&mut self, now: SystemTime, events: &mut Vec<StreamEvent>) {
        match self {
            // The standard has it that an event without its blank line is none.
            Self::Sse(..) => {}
            Self::JsonLines(lines, read) => {
                lines.finish(read);
                events.extend(read.drain(..).map(|data| untyped(data, now)));
            }
            Self::Raw(text, read) => {
                text.finish(read);
                events.extend(read.drain(..).map(|data| untyped(data, now)));
            }
        }
    }
}

fn typed(event: Event, received_at: SystemTime) -> StreamEvent {
    let Event { kind, data, id } = event;
    let kind = match kind {
        Cow::Borrowed(known) => Cow::Borrowed(known),
        Cow::Owned(kind) => Cow::Owned(without_nul(kind)),
    };
    StreamEvent { kind: Some(kind), data: without_nul(data), id, received_at }
}

fn untyped(data: String, received_at: SystemTime) -> StreamEvent {
    StreamEvent { kind: None, data: without_nul(data), id: None, received_at }
}

/// The same text with U+FFFD for each U+0000, not copied where it has none.
fn without_nul(text: String) -> String {
    if memchr::memchr(0, text.as_bytes()).is_some() { text.replace('\0', "\u{fffd}") } else { text }
}
