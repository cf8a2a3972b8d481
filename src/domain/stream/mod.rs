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

use std::borrow::Cow;
use std::time::SystemTime;

/// One event of an answer, whatever form it came in. Its texts hold no U+0000, which Postgres' `text` cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEvent {
    /// Its type, in a format that has types.
    pub kind: Option<Cow<'static, str>>,
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
        let of_kind = match &self.kind {
            Some(Cow::Owned(kind)) => kind.capacity(),
            Some(Cow::Borrowed(_)) | None => 0,
        };
        of_kind + self.data.capacity() + self.id.as_ref().map_or(0, String::capacity)
    }
}

/// What the bytes say; what is no UTF-8 becomes U+FFFD. To see first whether anything is takes a tenth of the time of looking
/// for it.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}
