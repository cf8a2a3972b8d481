//! A call: one thing to be done over HTTP, queued by SQL; and how it may end.

use std::fmt;

/// The number a queued call is known by. Handed out by a sequence, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub i64);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The final state of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Final {
    /// The peer answered with success.
    Succeeded,
    /// It did not, and the call is not tried again.
    Failed,
    /// Its user gave it up.
    Cancelled,
    /// Its answer was streamed, and broke off.
    Truncated,
    /// Too old before it could be sent.
    Expired,
}

impl Final {
    /// Every final state.
    pub const ALL: [Self; 5] = [Self::Succeeded, Self::Failed, Self::Cancelled, Self::Truncated, Self::Expired];

    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Truncated => "truncated",
            Self::Expired => "expired",
        }
    }

    /// The letter that stands for it in tables.
    pub fn code(self) -> u8 {
        match self {
            Self::Succeeded => b's',
            Self::Failed => b'f',
            Self::Cancelled => b'c',
            Self::Truncated => b't',
            Self::Expired => b'e',
        }
    }

    /// The state of this name, if it is a final one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The state that this letter stands for.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }
}
