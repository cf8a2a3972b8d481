//! From where the slots of a schedule are sought that is said anew.

use super::Kind;
use crate::domain::moment::Moment;

/// What is known of a schedule that decides when it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times<'a> {
    /// As it was written.
    pub schedule: &'a str,
    /// By whose clock.
    pub timezone: &'a str,
    /// By which rule for changes of the clock.
    pub dst: &'a str,
    /// Where intervals begin.
    pub starts_at: Option<Moment>,
    /// Whether it runs at all.
    pub active: bool,
}

/// From where the slots of a schedule are sought that is said anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Not at all: its plan stays as it is.
    AsPlanned,
    /// From where it stood: nothing moves, is repeated or lost.
    WhereItStood,
    /// From the present moment.
    Now,
}

/// Decides about a schedule that is said anew, and then of this kind.
///
/// A schedule that runs at the same times as before goes on where it stood. One that was paused begins anew: what it has
/// missed meanwhile was not to be run. When one runs next that waits for the server is not said by its text, and may have been
/// decided just now.
pub fn begins(known: Times<'_>, said: Times<'_>, kind: Kind) -> Begin {
    let same = Times { active: said.active, ..known } == said;
    let resumed = said.active && !known.active;
    match kind {
        _ if !same || resumed => Begin::Now,
        Kind::Reboot if said.active => Begin::AsPlanned,
        _ => Begin::WhereItStood,
    }
}
