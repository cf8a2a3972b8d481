//! The event stream format of the WHATWG HTML standard (9.2.5 and 9.2.6), read from chunks of any size.
//!
//! Whoever reads a stream wants each event as soon as it is complete, however the network cut it: in the middle of a
//! line, of a line end, or of a character. Each byte is copied once where its line came in one piece, twice where the network
//! cut it, and what is kept between two chunks never grows beyond the largest event that is allowed.

use std::borrow::Cow;
use std::sync::Arc;

use super::ending::Rest;
use super::{TooLarge, text};

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The event's type; `message` where it names none.
    pub kind: Cow<'static, str>,
    /// Its data lines, with newlines between them.
    pub data: String,
    /// The last id that the stream has named, which need not be this event's own. Shared, since a stream that names one at
    /// its beginning has it in every event.
    pub id: Option<Arc<str>>,
}

/// Reads a stream.
#[derive(Debug)]
pub struct Parser {
    most: usize,
    /// The line now being read, as far as it came in earlier chunks.
    line: Vec<u8>,
    /// What the line now being read is.
    within: Within,
    /// The last byte was a CR, which has ended a line already; an LF right after it belongs to it.
    after_cr: bool,
    kind: String,
    /// Its lines so far, with newlines between them; `None` before the first.
    data: Option<String>,
    /// The id that the present block names; it counts once the block ends, with or without data.
    id: Option<Arc<str>>,
    last_id: Option<Arc<str>>,
    seen: Seen,
}

/// What a stream has turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Nothing yet, or comments and fields without data.
    Nothing,
    /// Lines of something else, and no event.
    Foreign,
    Events,
}

/// Where in a stream the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    /// In its very first line, which may begin with a byte order mark.
    FirstLine,
    Line,
    /// In a comment, of which nothing is kept however long it is.
    Comment,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Parser {
    /// At the beginning of a stream whose events have `most` bytes each at most.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            line: Vec::new(),
            within: Within::FirstLine,
            after_cr: false,
            kind: String::new(),
            data: None,
            id: None,
            last_id: None,
            seen: Seen::Nothing,
        }
    }

    /// Reads on. Events that are complete go to `events`. What is left of an unfinished one when the stream ends is
    /// no event, as the standard has it.
    pub fn feed(&mut self, mut chunk: &[u8], events: &mut Vec<Event>) -> Result<(), TooLarge> {
        while !chunk.is_empty() {
            if std::mem::take(&mut self.after_cr) && chunk[0] == b'\n' {
                chunk = &chunk[1..];
                continue;
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', chunk) else {
                return self.keep(chunk);
            };
            self.after_cr = chunk[end] == b'\r';
            self.end_line(&chunk[..end], events)?;
            chunk = &chunk[end + 1..];
        }
        Ok(())
    }

    /// The stream has ended. The standard has it that an event without its blank line is none.
    pub fn finish(&mut self) -> Rest {
        let line = std::mem::take(&mut self.line);
        let last = after_mark(self.within, &line);
        if !last.is_empty() {
            // One that is too large is unfinished all the same.
            let _fits = self.read_line(last, &mut Vec::new());
        }
        match (self.data.take(), self.seen) {
            (Some(data), _) => Rest::Unfinished(data),
            (None, Seen::Foreign) => Rest::Foreign,
            (None, _) if last.is_empty() => Rest::Nothing,
            (None, _) => Rest::Unfinished(String::new()),
        }
    }

    /// Keeps a part of a line whose end has not come yet.
    fn keep(&mut self, part: &[u8]) -> Result<(), TooLarge> {
        if self.within == Within::Comment {
            return Ok(());
        }
        if self.begins_comment(part) {
            self.within = Within::Comment;
            self.line.clear();
            return Ok(());
        }
        self.check_room(part)?;
        self.line.extend_from_slice(part);
        Ok(())
    }

    /// Whether with this part the line turns out to be a comment.
    fn begins_comment(&self, part: &[u8]) -> bool {
        let begins = |part: &[u8]| part.first() == Some(&b':');
        if self.line.is_empty() && begins(part) {
            return true;
        }
        // To look for the mark in every line would take longer than to read it.
        if self.within != Within::FirstLine {
            return false;
        }
        let rest_of_mark = BYTE_ORDER_MARK.strip_prefix(self.line.as_slice());
        rest_of_mark.and_then(|rest| part.strip_prefix(rest)).is_some_and(begins)
    }

    /// Whether the line may grow by a part.
    fn check_room(&self, part: &[u8]) -> Result<(), TooLarge> {
        let data = self.data.as_ref().map_or(0, String::len);
        let fits = self.line.len() + part.len() + data <= self.most + LONGEST_FIELD_NAME;
        if fits { Ok(()) } else { Err(TooLarge::Event { most: self.most }) }
    }

    /// The last part of a line has come, which often is all of it.
    fn end_line(&mut self, part: &[u8], events: &mut Vec<Event>) -> Result<(), TooLarge> {
        let is_comment = self.within == Within::Comment || self.begins_comment(part);
        let within = std::mem::replace(&mut self.within, Within::Line);
        if is_comment {
            self.line.clear();
            return Ok(());
        }
        self.check_room(part)?;
        if self.line.is_empty() {
            return self.read_line(after_mark(within, part), events);
        }
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(part);
        let read = self.read_line(after_mark(within, &line), events);
        line.clear();
        line.shrink_to(ROOMY_LINE);
        self.line = line;
        read
    }

    fn read_line(&mut self, line: &[u8], events: &mut Vec<Event>) -> Result<(), TooLarge> {
        if line.is_empty() {
            self.dispatch(events);
            return Ok(());
        }
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        let value = text(value.strip_prefix(b" ").unwrap_or(value));
        match name {
            b"data" => return self.add_data(value),
            b"event" => self.kind = name_of(value)?.into_owned(),
            b"id" if !value.contains('\0') => self.id = Some(name_of(value)?.into()),
            // How long to wait before the stream is asked for again is for those who read it without an end; without a name
            // it is a comment in the first line.
            b"id" | b"retry" | b"" => {}
            // Another field means nothing, in a stream that has events.
            _ if self.seen == Seen::Nothing => self.seen = Seen::Foreign,
            _ => {}
        }
        Ok(())
    }

    fn add_data(&mut self, value: Cow<'_, str>) -> Result<(), TooLarge> {
        let before = self.data.as_ref().map_or(0, |data| data.len() + 1);
        if before + value.len() > self.most {
            return Err(TooLarge::Event { most: self.most });
        }
        match &mut self.data {
            // Nearly all events are one line.
            None => self.data = Some(value.into_owned()),
            Some(data) => {
                data.push('\n');
                data.push_str(&value);
            }
        }
        Ok(())
    }

    /// A block has ended. Without data it is no event, but its id counts.
    fn dispatch(&mut self, events: &mut Vec<Event>) {
        if let Some(id) = self.id.take() {
            self.last_id = Some(id).filter(|id| !id.is_empty());
        }
        let kind = std::mem::take(&mut self.kind);
        if let Some(data) = self.data.take() {
            let kind = if kind.is_empty() { Cow::Borrowed("message") } else { Cow::Owned(kind) };
            self.seen = Seen::Events;
            events.push(Event { kind, data, id: self.last_id.clone() });
        }
    }
}

/// A line without the mark with which a stream may begin. Every line comes by here, and to compare one with a mark of no bytes
/// costs more than to tell that there is none.
fn after_mark(within: Within, line: &[u8]) -> &[u8] {
    match within {
        Within::FirstLine => line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line),
        Within::Line | Within::Comment => line,
    }
}

/// A line is longer than its value by a field's name, a colon and a space.
const LONGEST_FIELD_NAME: usize = 64;

/// What the buffer of lines may hold between two lines. One that has grown with a single long line is not kept for the rest
/// of the stream.
const ROOMY_LINE: usize = 16 * 1024;

/// The longest type and the longest id, in bytes. An id is kept again in every event that comes after it, so it may not be
/// as long as an event.
const LONGEST_NAME: usize = 4 * 1024;

/// A type or an id, where it is none that is too long.
fn name_of(value: Cow<'_, str>) -> Result<Cow<'_, str>, TooLarge> {
    if value.len() > LONGEST_NAME { Err(TooLarge::Name { most: LONGEST_NAME }) } else { Ok(value) }
}
