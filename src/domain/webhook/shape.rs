//! What kind of trigger calls, and whether that fits what it asks for.

use super::error::WebhookError;
use super::options::{Grouping, Options, WhenChanged};

/// What was done to the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A row is new.
    Insert,
    /// A row has changed, or has been written as it was.
    Update,
    /// A row is gone.
    Delete,
    /// All rows are gone.
    Truncate,
}

impl Event {
    /// As it is told.
    pub fn name(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Truncate => "TRUNCATE",
        }
    }
}

/// When a trigger fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// BEFORE.
    Before,
    /// AFTER.
    After,
    /// INSTEAD OF.
    InsteadOf,
}

/// What a trigger is given to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The row that it fires for.
    Row,
    /// That a statement was run.
    Statement,
    /// The rows of the statement as they were.
    OldRows,
    /// The rows of the statement as they are.
    NewRows,
    /// Both.
    AllRows,
}

/// A trigger, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// When it fires.
    pub timing: Timing,
    /// What it sees.
    pub sight: Sight,
    /// Whether updates are among its events.
    pub updates: bool,
    /// Whether any of its events is about rows, as all but TRUNCATE are.
    pub writes_rows: bool,
}

impl Shape {
    /// Refuses options that such a trigger cannot fulfil.
    pub fn fits(self, options: &Options) -> Result<(), WebhookError> {
        match self.timing {
            Timing::After => {}
            Timing::Before => return Err(WebhookError::NotAfter("BEFORE")),
            Timing::InsteadOf => return Err(WebhookError::NotAfter("INSTEAD OF")),
        }
        let batches = options.grouping != Grouping::OneByOne;
        let compares = options.when_changed != WhenChanged::Always;
        match self.sight {
            Sight::Row | Sight::Statement if batches => Err(WebhookError::BatchOfOne),
            Sight::Statement if compares => Err(WebhookError::NeedsRows("when_changed")),
            Sight::Statement if options.columns.is_some() => Err(WebhookError::NeedsRows("columns")),
            Sight::Statement if !options.metadata_columns.is_empty() => {
                Err(WebhookError::NeedsRows("metadata_columns"))
            }
            Sight::OldRows | Sight::NewRows if compares && self.updates => Err(WebhookError::NeedsBoth),
            Sight::Row | Sight::Statement | Sight::OldRows | Sight::NewRows | Sight::AllRows => Ok(()),
        }
    }
}
