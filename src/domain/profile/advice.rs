//! What to do after an error of a platform.

use std::time::Duration;

/// What follows from an error that is known, where the endpoint's policy would try the call again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Advice {
    /// Nothing is known that would change what the policy says.
    #[default]
    AsThePolicySays,
    /// The same request would only meet it again.
    Final,
    /// It may pass, but hardly at the third time: the call is not tried more often than this in all.
    AtMost(u32),
    /// It passes, but not before this time is over.
    NotBefore(Duration),
}

impl Advice {
    /// What is left of it where the user has named the very status among what is to be tried again: he knows better how often,
    /// but not how soon.
    #[must_use]
    pub fn where_asked_for(self) -> Self {
        match self {
            Self::Final | Self::AtMost(_) => Self::AsThePolicySays,
            Self::AsThePolicySays | Self::NotBefore(_) => self,
        }
    }
}
