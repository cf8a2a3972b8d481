//! Cuts an answer into events, whatever its format.

use std::borrow::Cow;
use std::time::SystemTime;

use super::ending::Rest;
use super::json_lines::Lines;
use super::raw::Text;
use super::rules::Framing;
use super::sse::{Event, Parser};
use super::{StreamEvent, TooLarge};
use crate::domain::text;

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

    /// The answer has ended in good order. What of it is an event although it has no end goes to `events`; gives what is none.
    pub fn finish(&mut self, now: SystemTime, events: &mut Vec<StreamEvent>) -> Rest {
        match self {
            Self::Sse(parser, _) => parser.finish(),
            Self::JsonLines(lines, read) => {
                let rest = lines.finish(read);
                events.extend(read.drain(..).map(|data| untyped(data, now)));
                rest
            }
            Self::Raw(text, read) => {
                text.finish(read);
                events.extend(read.drain(..).map(|data| untyped(data, now)));
                Rest::Nothing
            }
        }
    }
}

fn typed(event: Event, received_at: SystemTime) -> StreamEvent {
    let Event { kind, data, id } = event;
    let kind = match kind {
        Cow::Borrowed(known) => Cow::Borrowed(known),
        Cow::Owned(kind) => Cow::Owned(clean(kind)),
    };
    StreamEvent { kind: Some(kind), data: clean(data), id, received_at }
}

fn untyped(data: String, received_at: SystemTime) -> StreamEvent {
    StreamEvent { kind: None, data: clean(data), id: None, received_at }
}

fn clean(text: String) -> String {
    text::without_nul(text.into()).into_owned()
}
