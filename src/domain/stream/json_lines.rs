//! Newline-delimited JSON, read from chunks of any size: one value a line, blank lines mean nothing.

use serde::de::IgnoredAny;

use super::ending::Rest;
use super::{TooLarge, text};

/// Reads a stream of lines.
#[derive(Debug)]
pub struct Lines {
    most: usize,
    /// The line now being read, as far as it came in earlier chunks.
    line: Vec<u8>,
}

impl Lines {
    /// At the beginning of a stream whose lines have `most` bytes each at most.
    pub fn new(most: usize) -> Self {
        Self { most, line: Vec::new() }
    }

    /// Reads on. Lines that are complete go to `lines`.
    pub fn feed(&mut self, mut chunk: &[u8], lines: &mut Vec<String>) -> Result<(), TooLarge> {
        while let Some(end) = memchr::memchr(b'\n', chunk) {
            let last = &chunk[..end];
            if self.line.is_empty() {
                self.check_room(last)?;
                read(last, lines);
            } else {
                self.keep(last)?;
                self.end_line(lines);
            }
            chunk = &chunk[end + 1..];
        }
        self.keep(chunk)
    }

    /// The stream has ended; a last line needs no newline. One that breaks off in the middle of its value is kept as any broken
    /// one is, and told.
    pub fn finish(&mut self, lines: &mut Vec<String>) -> Rest {
        let rest = if is_cut(&self.line) { Rest::Unfinished(String::new()) } else { Rest::Nothing };
        self.end_line(lines);
        rest
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), TooLarge> {
        self.check_room(part)?;
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn check_room(&self, part: &[u8]) -> Result<(), TooLarge> {
        if self.line.len() + part.len() <= self.most { Ok(()) } else { Err(TooLarge::Event { most: self.most }) }
    }

    fn end_line(&mut self, lines: &mut Vec<String>) {
        read(&self.line, lines);
        self.line.clear();
    }
}

fn is_cut(line: &[u8]) -> bool {
    !line.trim_ascii().is_empty() && serde_json::from_slice::<IgnoredAny>(line).is_err_and(|error| error.is_eof())
}

fn read(line: &[u8], lines: &mut Vec<String>) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if !line.trim_ascii().is_empty() {
        lines.push(text(line).into_owned());
    }
}
