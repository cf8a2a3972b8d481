//! What goes over a websocket.

use std::time::SystemTime;

use bytes::Bytes;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Bytes),
}

/// A message that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// When its last frame had come.
    pub at: SystemTime,
    /// What it was.
    pub payload: Payload,
}

// === impl Payload ===

impl Payload {
    /// How many bytes it has.
    pub fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}
