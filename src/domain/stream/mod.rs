//! Answers that come event by event: whether one does, how it is cut into events, and what the events of language models
//! mean.

pub mod cutter;
pub mod dialect;
pub mod ending;
pub mod follower;
pub mod json;
pub mod json_lines;
pub mod path;
pub mod quota;
pub mod raw;
pub mod rules;
pub mod run;
pub mod speech;
pub mod sse;
pub mod usage;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

/// What an event, or a message of a websocket, costs beside its texts, in memory as in a table. With it, limits in bytes limit
/// their number too.
pub const OF_AN_EVENT: usize = 128;

/// One event of an answer, whatever form it came in. Its texts hold no U+0000, which Postgres' `text` cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEvent {
    /// Its type, in a format that has types.
    pub kind: Option<Cow<'static, str>>,
    /// What it says.
    pub data: String,
    /// The last id that the stream has named, in a format that has ids.
    pub id: Option<Arc<str>>,
    /// When the bytes came that completed it.
    pub received_at: SystemTime,
}

/// An event that is larger than what is allowed. The stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// As a whole.
    #[error("an event of the stream is larger than the limit of {most} bytes")]
    Event {
        /// What is allowed, in bytes.
        most: usize,
    },
    /// Its type or its id is.
    #[error("the type or the id of an event of the stream is longer than the limit of {most} bytes")]
    Name {
        /// What is allowed, in bytes.
        most: usize,
    },
}

impl StreamEvent {
    /// The memory that this event takes, whether its texts fill theirs or not. An id counts in full wherever it is, since
    /// every row has it.
    pub fn held_bytes(&self) -> usize {
        let kind = match &self.kind {
            Some(Cow::Owned(kind)) => kind.capacity(),
            Some(Cow::Borrowed(_)) | None => 0,
        };
        OF_AN_EVENT + kind + self.data.capacity() + self.id.as_ref().map_or(0, |id| id.len())
    }

    /// What this event counts where events are counted in bytes.
    pub fn cost(&self) -> usize {
        OF_AN_EVENT + self.text_bytes()
    }

    /// How long its texts are.
    pub fn text_bytes(&self) -> usize {
        let kind = self.kind.as_ref().map_or(0, |kind| kind.len());
        kind + self.data.len() + self.id.as_ref().map_or(0, |id| id.len())
    }
}

/// What the bytes say; what is no UTF-8 becomes U+FFFD. To see first whether anything is takes a tenth of the time of looking
/// for it.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}
