//! How many more calls a role may have, counted down while it is decided about several at once.

use std::fmt;

/// What is left of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// There is no limit.
    Endless,
    /// There is a limit.
    Limited {
        /// So many there are.
        queued: u64,
        /// So many there may be.
        limit: u64,
    },
}

/// There is no room for so many more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// So many there are.
    pub queued: u64,
    /// So many there may be.
    pub limit: u64,
}

impl Room {
    /// Takes the places of so many calls, or none.
    pub fn take(&mut self, calls: u64) -> Result<(), Full> {
        match self {
            Self::Endless => Ok(()),
            Self::Limited { queued, limit } if queued.saturating_add(calls) > *limit => {
                Err(Full { queued: *queued, limit: *limit })
            }
            Self::Limited { queued, .. } => {
                *queued += calls;
                Ok(())
            }
        }
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "too many calls of its owner have not ended: {} are queued, and pg_edge.max_queued_per_role allows {}",
            self.queued, self.limit
        )
    }
}
