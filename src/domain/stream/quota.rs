//! How much of a stream is read and kept.

use super::{OF_AN_EVENT, StreamEvent};

/// Counts a stream against its limit. Both what comes is counted and what is kept of it: a few bytes may make an event, and
/// an event is more than its bytes. Whether a limit is exceeded, and where, depends on the stream alone and not on how the
/// network cut it.
#[derive(Debug)]
pub struct Quota {
    most: u64,
    read: u64,
    kept: u64,
}

/// A stream is larger than what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exceeded {
    /// As it comes.
    #[error("the stream is larger than the limit of {most} bytes")]
    Read {
        /// What is allowed, in bytes.
        most: u64,
    },
    /// As it is kept.
    #[error(
        "the events of the stream, at {OF_AN_EVENT} bytes each beside their texts, are larger than the limit of {most} bytes"
    )]
    Kept {
        /// What is allowed, in bytes.
        most: u64,
    },
}

impl Quota {
    /// For a stream of which nothing has come.
    pub fn new(most: u64) -> Self {
        Self { most, read: 0, kept: 0 }
    }

    /// Counts what has come; gives as much of it as may be read.
    pub fn read<'a>(&mut self, chunk: &'a [u8]) -> &'a [u8] {
        let room = self.most - self.read;
        let fitting = usize::try_from(room).map_or(chunk, |room| &chunk[..chunk.len().min(room)]);
        self.read += fitting.len() as u64;
        fitting
    }

    /// That more has come than may be read.
    pub fn too_much(&self) -> Exceeded {
        Exceeded::Read { most: self.most }
    }

    /// Counts events; leaves as many of them as may be kept.
    pub fn keep(&mut self, events: &mut Vec<StreamEvent>) -> Result<(), Exceeded> {
        for (index, event) in events.iter().enumerate() {
            self.kept = self.kept.saturating_add(event.cost() as u64);
            if self.kept > self.most {
                events.truncate(index);
                return Err(Exceeded::Kept { most: self.most });
            }
        }
        Ok(())
    }
}
