//! What becomes of a call that was on the wire when its dispatcher ended.

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is sent again.
    SentAgain,
    /// It was on the wire too often when a dispatcher ended: it may be what ends them.
    GivenUp,
    /// Its answer had begun to land, and somebody may have read of it: it ends with what there is.
    BrokenOff,
}

/// Decides by how many events of its answer are stored, and how often it was interrupted, this time included.
pub fn fate(events: u64, interruptions: u32, max_interruptions: u32) -> Fate {
    if events > 0 {
        return Fate::BrokenOff;
    }
    if interruptions >= max_interruptions { Fate::GivenUp } else { Fate::SentAgain }
}
