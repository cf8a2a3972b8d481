//! Whether a callback is to be run, given what is known of runs that did not end.
//!
//! A callback that takes its process down, or the whole server, must not be run for ever. Counting each run before it
//! begins would cost every callback a commit of its own. So the first run is not counted; what it leaves behind is the
//! lock of a transaction that never ended. Only then does counting begin.

/// What is known of a callback's earlier runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past {
    /// It was never begun.
    New,
    /// It was begun once, and that run did not end.
    Tried,
    /// So many runs were counted, none of which ended.
    Counted(u32),
    /// The run that is about to begin has been counted.
    CountedNow,
}

/// What is to be done with a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is run.
    Run,
    /// It is counted, for the so-manieth time, and run after that.
    Count(u32),
    /// It has taken its process down this often, and is not run again.
    GiveUp(u32),
}

/// Decides what is to be done with a callback that may be begun `most` times.
pub fn next(past: Past, most: u32) -> Next {
    let runs = match past {
        Past::New | Past::CountedNow => return Next::Run,
        Past::Tried => 1,
        Past::Counted(runs) => runs,
    };
    if runs < most { Next::Count(runs + 1) } else { Next::GiveUp(runs) }
}

/// How many runs are known of a callback that something else was in the way of: this one does not count. Known they must be: what
/// was in the way left the same trace as a run that did not end.
pub fn without_this(past: Past) -> u32 {
    match past {
        Past::New | Past::Tried | Past::CountedNow => 0,
        Past::Counted(runs) => runs.saturating_sub(1),
    }
}

/// How many are begun together, of those that were begun so often in vain: the more often, the fewer, so that the one that takes
/// the others down is alone by its last run. `None` where it is not begun again.
pub fn at_once(runs: u32, most: u32, ceiling: usize) -> Option<usize> {
    if runs >= most {
        return None;
    }
    let share = ceiling.checked_shr(runs.saturating_mul(5)).unwrap_or(0);
    Some(if runs + 1 == most { 1 } else { share.max(1) })
}
