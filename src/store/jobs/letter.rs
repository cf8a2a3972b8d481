//! How a delivery has ended, by the word of its function, as the letter that stands in its row.

use crate::domain::job::{Again, Said};

/// What was said; what goes with it stands in columns of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letter {
    Completed,
    Failed(Again),
}

impl Letter {
    const ALL: [Self; 3] = [Self::Completed, Self::Failed(Again::Welcome), Self::Failed(Again::InVain)];

    /// As it is written. The table's definition names the same ones.
    pub fn text(self) -> &'static str {
        match self {
            Self::Completed => "c",
            Self::Failed(Again::Welcome) => "r",
            Self::Failed(Again::InVain) => "f",
        }
    }

    /// The one that is written so.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|letter| letter.text() == text)
    }

    /// What was said, with the error that goes with a failure. A result is read by itself.
    pub fn said(self, error: Option<String>) -> Said {
        match self {
            Self::Completed => Said::Completed(None),
            Self::Failed(again) => Said::Failed { error: error.unwrap_or_default(), again },
        }
    }
}
