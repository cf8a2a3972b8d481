//! What is no reason to refuse a trigger, and yet not what its maker may await.

use super::shape::{Shape, Sight};
use crate::domain::endpoint::EndpointError;

/// Something that its calls need and that is not there: it may come later, as with a dump that is restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// Nobody to call.
    #[error("endpoint \"{0}\" does not exist, and its calls fail")]
    NoEndpoint(String),
    /// A URL that is somebody else's.
    #[error("calls by endpoint \"{endpoint}\" fail: {why}")]
    Elsewhere {
        /// Its name.
        endpoint: String,
        /// What is wrong with the URL.
        why: EndpointError,
    },
    /// Somebody to call, of whom nothing is known for sure.
    #[error("calls by endpoint \"{endpoint}\" fail: {why}")]
    Unreadable {
        /// Its name.
        endpoint: String,
        /// What is wrong with its row.
        why: String,
    },
    /// Nothing to put in the place of a placeholder.
    #[error("there is no secret \"{0}\", and calls that need it fail")]
    NoSecret(String),
}

impl Doubt {
    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NoEndpoint(_) => {
                "edge.create_endpoint makes it, and edge.replay_dead then sends what has failed; or make the trigger anew with \
                 an endpoint of edge.endpoints."
            }
            Self::Elsewhere { .. } => {
                "Make the trigger anew with a URL at the endpoint's origin, with a path, or without the endpoint."
            }
            Self::Unreadable { .. } => "edge.alter_endpoint sets anew what somebody has written by hand.",
            Self::NoSecret(_) => "edge.set_secret sets it, and edge.replay_dead then sends what has failed.",
        }
    }
}

/// What a trigger cannot tell of, though it tells of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Gap {
    /// Updates without what was.
    #[error("old_record will always be null, since the trigger is not given the rows as they were")]
    Before,
    /// Updates without what is.
    #[error("record will always be null, since the trigger is not given the rows as they are")]
    After,
    /// Statements without rows.
    #[error("record and old_record will always be null: it tells that there was a statement, and of no row")]
    Rows,
}

impl Gap {
    /// What such a trigger cannot tell of.
    pub fn of(shape: Shape) -> Option<Self> {
        match shape.sight {
            Sight::NewRows if shape.updates => Some(Self::Before),
            Sight::OldRows if shape.updates => Some(Self::After),
            Sight::Statement if shape.writes_rows => Some(Self::Rows),
            Sight::Row | Sight::NewRows | Sight::OldRows | Sight::AllRows | Sight::Statement => None,
        }
    }

    /// What to do about it, where that is not as it should be.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Before => "Name them as well: REFERENCING OLD TABLE AS … NEW TABLE AS …",
            Self::After => "Name them as well: REFERENCING NEW TABLE AS … OLD TABLE AS …",
            Self::Rows => "Name the rows by REFERENCING NEW TABLE AS …, OLD TABLE AS …, or say FOR EACH ROW.",
        }
    }
}
