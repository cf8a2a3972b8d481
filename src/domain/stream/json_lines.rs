//! Newline-delimited JSON, read from chunks of any size: one value a line, blank lines mean nothing.

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

    /// The stream has ended; a last line needs no newline.
    pub fn finish(&mut self, lines: &mut Vec<String>) {
        self.end_line(lines);
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), TooLarge> {
        self.check_room(part)?;
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn check_room(&self, part: &[u8]) -> Result<(), TooLarge> {
        if self.line.len() + part.len() <= self.most { Ok(()) } else { Err(TooLarge { most: self.most }) }
    }

    fn end_line(&mut self, lines: &mut Vec<String>) {
        read(&self.line, lines);
        self.line.clear();
    }
}

fn read(line: &[u8], lines: &mut Vec<String>) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if !line.trim_ascii().is_empty() {
        lines.push(text(line).into_owned());
    }
}
