//! What stands in the way of taking a job of pg_cron over.

use std::fmt;

/// Whose a job is, as who wants to take it over sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Its owner is no role of this server any more.
    Nobodys,
    /// Another role's, for whom they may not act.
    Anothers,
    /// Theirs, or that of a role for whom they may act.
    Theirs,
}

/// Why a job is not taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It runs in the database of this name.
    Elsewhere(String),
    /// There is no role of this name.
    NoRole(String),
    /// It is another role's.
    Anothers,
    /// Its owner has a schedule of its name.
    NameTaken,
}

/// What stands in the way of a job by itself: where it runs, if that is not here, and whose it is.
pub fn obstacle(elsewhere: Option<&str>, owner: &str, whose: Whose) -> Option<Obstacle> {
    match (elsewhere, whose) {
        (Some(database), _) => Some(Obstacle::Elsewhere(database.to_owned())),
        (None, Whose::Nobodys) => Some(Obstacle::NoRole(owner.to_owned())),
        (None, Whose::Anothers) => Some(Obstacle::Anothers),
        (None, Whose::Theirs) => None,
    }
}

impl Obstacle {
    /// What becomes of the job.
    pub const fn action(&self) -> &'static str {
        match self {
            Self::Elsewhere(_) | Self::NoRole(_) | Self::Anothers => "skipped",
            Self::NameTaken => "left alone",
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elsewhere(database) => {
                write!(f, "it runs in database \"{database}\": make it there, by edge.schedule")
            }
            Self::NoRole(role) => write!(f, "there is no role \"{role}\""),
            Self::Anothers => f.write_str("it is another role's; a superuser can import it"),
            Self::NameTaken => f.write_str("there is a schedule of that name already"),
        }
    }
}
