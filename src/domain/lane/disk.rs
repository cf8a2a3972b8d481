//! The calls of a lane that wait on disk: whether there are any, and how many are wanted from there.

use crate::domain::tally::Kind;

/// Whether calls of each kind wait on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnDisk {
    /// Of those that were never tried.
    pub fresh: Rest,
    /// Of those that were.
    pub retries: Rest,
}

/// Whether there are any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// There are none.
    None,
    /// There are some.
    Some,
}

impl OnDisk {
    /// No call waits there.
    pub const NOTHING: Self = Self { fresh: Rest::None, retries: Rest::None };

    pub(in crate::domain) fn of(self, kind: Kind) -> Rest {
        match kind {
            Kind::Fresh => self.fresh,
            Kind::Retry => self.retries,
        }
    }

    pub(in crate::domain) fn note(&mut self, kind: Kind) {
        match kind {
            Kind::Fresh => self.fresh = Rest::Some,
            Kind::Retry => self.retries = Rest::Some,
        }
    }

    pub(super) fn is_anything(self) -> bool {
        self != Self::NOTHING
    }
}

/// How many calls of each kind are wanted from the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appetite {
    /// Of those that were never tried.
    pub fresh: usize,
    /// Of those that were.
    pub retries: usize,
}
