//! What becomes of a call that was on the wire when its dispatcher ended.

use super::outcome::FailureClass;

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is sent again.
    SentAgain,
    /// It was on the wire too often when a dispatcher ended: it may be what ends them.
    GivenUp,
    /// Its answer had begun to land, and somebody may have read of it: it ends with what there is.
    BrokenOff,
    /// It is a job whose function has said how it ended, or is about to: its delivery is left open, and whoever takes it up next
    /// will see.
    TakenUp,
}

/// What is known of a job that was on the wire when its dispatcher ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// Nothing was said of it, and nothing can be from now on.
    No,
    /// It was said how it ended, or a session is just about to say something.
    Perhaps,
}

/// What is decided of one, and why, for whoever reads of the attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interruption {
    /// What becomes of it.
    pub fate: Fate,
    /// How often it was interrupted, this time included.
    pub interruptions: u32,
    /// What was wrong with the attempt.
    pub class: FailureClass,
    /// The same as a sentence.
    pub why: String,
}

impl Interruption {
    /// Of a call of which so many events are stored, and which had been interrupted so often before.
    pub fn of_call(events: u64, before: u32, most: u32) -> Self {
        let interruptions = before + 1;
        let counted = format!("the worker or the server ended during the attempt ({interruptions} of {most})");
        let (fate, class, why) = if events > 0 {
            let cut = "the worker or the server ended while the answer was being streamed".to_owned();
            (Fate::BrokenOff, FailureClass::Truncated, cut)
        } else if interruptions >= most {
            (Fate::GivenUp, FailureClass::Interrupted, counted)
        } else {
            (Fate::SentAgain, FailureClass::Interrupted, counted)
        };
        Self { fate, interruptions, class, why }
    }

    /// Of a job. It is not given up before it is known whether its function has reported.
    pub fn of_job(reported: Reported, events: u64, before: u32, most: u32) -> Self {
        match reported {
            Reported::No => Self::of_call(events, before, most),
            Reported::Perhaps => Self { fate: Fate::TakenUp, ..Self::of_call(events, before, most) },
        }
    }
}
