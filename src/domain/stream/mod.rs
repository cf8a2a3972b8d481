//! Answers that come event by event: how they are cut into events, and what the events of language models mean.

pub mod dialect;
pub mod follower;
pub mod json_lines;
pub mod sse;

/// An event that is larger than what is allowed. The stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {most} bytes")]
pub struct TooLarge {
    /// What is allowed, in bytes.
    pub most: usize,
}
