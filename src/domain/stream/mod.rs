//! Answers that come event by event: whether one does, how it is cut into events, and what the events of language models
//! mean.

pub mod cutter;
pub mod dialect;
pub mod follower;
pub mod json_lines;
pub mod path;
pub mod raw;
pub mod rules;
pub mod speech;
pub mod sse;

use std::time::SystemTime;

/// One event of an answer, whatever form it came in. Its texts hold no U+0000, which Postgres' `text` cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEvent {
    /// Its type, in a format that has types.
    pub kind: Option<String>,
    /// What it says.
    pub data: String,
    /// The last id that the stream has named, in a format that has ids.
    pub id: Option<String>,
    /// When the bytes came that completed it.
    pub received_at: SystemTime,
}

/// An event that is larger than what is allowed. The stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than the limit of {most} bytes")]
pub struct TooLarge {
    /// What is allowed, in bytes.
    pub most: usize,
}

impl StreamEvent {
    /// The memory that the texts of this event take, whether they fill it or not.
    pub fn held_bytes(&self) -> usize {
        let of = |text: &Option<String>| text.as_ref().map_or(0, String::capacity);
        of(&self.kind) + self.data.capacity() + of(&self.id)
    }
}
