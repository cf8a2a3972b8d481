//! Which of the slots that are due run, which are skipped and why, and which slot is next.
//!
//! A slot that came within the last seconds is due; an earlier one was missed: the server was down, or calls were paused.
//! However many were missed, what is done about them is bounded, in time and in rows.

use std::fmt;
use std::time::Duration;

use super::missed::{Count, Missed};
use super::overlap::Open;
use crate::domain::moment::Moment;

/// A slot that is no later than this is merely late, as one is while a server restarts.
pub const GRACE: Duration = Duration::from_secs(5);

/// When something is due.
pub trait Slots {
    /// The first slot later than `after`.
    fn next_after(&self, after: Moment) -> Option<Moment>;

    /// When a slot is due: at its own moment, or later, but before the next slot.
    fn due_at(&self, slot: Moment) -> Moment;

    /// How many slots there are later than `after` up to `until`, if that can be told without going through them.
    fn count(&self, after: Moment, until: Moment) -> Option<u64>;
}

/// What a schedule wants to be made up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatchUp {
    /// The latest slot that was missed, unless one is due that stands for it.
    One,
    /// Nothing.
    Skip,
    /// All, up to a limit; the latest count.
    All,
}

/// The policy, and its limits.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// What is made up for.
    pub catch_up: CatchUp,
    /// What was missed longer ago is not.
    pub window: Duration,
    /// The most slots that are made up for with [`CatchUp::All`].
    pub most: usize,
    /// So many skipped slots are listed one by one; a single entry stands for those before them.
    pub listed: usize,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What runs, in order.
    pub runs: Vec<Run>,
    /// What does not, in order.
    pub skipped: Vec<Skipped>,
    /// The last slot that has been dealt with.
    pub passed: Moment,
    /// The slot that comes next.
    pub next: Option<Moment>,
}

/// A slot that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Which.
    pub slot: Moment,
    /// Whether it had been missed.
    pub timeliness: Timeliness,
}

/// Whether a slot had been missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeliness {
    /// Its time has just come.
    Due,
    /// It had been missed.
    Missed,
}

/// A slot that does not run, or several in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The first of them.
    pub first: Moment,
    /// The last of them.
    pub last: Moment,
    /// How many they are.
    pub count: Count,
    /// Why they do not.
    pub why: Why,
}

/// Why a slot that was missed does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It was missed too long ago.
    TooLongAgo(Duration),
    /// Another one runs instead.
    StoodFor(Moment),
    /// The one that would have run instead met another that had not ended.
    StoodForByNone,
    /// The policy is to make up for nothing.
    NotWanted,
    /// There are more than are made up for.
    TooMany(usize),
}

/// Decides what becomes of the slots later than `passed` that are due by `now`.
pub fn plan(slots: &dyn Slots, passed: Moment, now: Moment, rules: Rules) -> Plan {
    let in_time = now.saturating_sub(GRACE);
    let before = in_time.saturating_sub(Duration::from_micros(1)).max(passed);
    let mut missed = Missed::between(slots, passed, before, rules.most.max(rules.listed) + 1);
    // The last of them may be due as late as the next slot.
    let put_off = missed.newest.pop_if(|slot| slots.due_at(*slot) >= in_time);
    let mut due = Vec::new();
    let mut next = put_off.or_else(|| slots.next_after(before));
    while let Some(slot) = next.filter(|slot| slots.due_at(*slot) <= now) {
        due.push(slot);
        next = slots.next_after(slot);
    }
    let passed = due.last().or(missed.newest.last()).copied().unwrap_or(passed);
    let made_up = missed.made_up(rules, now, due.first().copied());
    let stand_in = due.first().or(made_up.last()).copied();
    let skipped = missed.skipped(&made_up, rules.listed, |slot| rules.why(slot, now, stand_in));
    let missed = made_up.into_iter().map(|slot| Run { slot, timeliness: Timeliness::Missed });
    let due = due.into_iter().map(|slot| Run { slot, timeliness: Timeliness::Due });
    Plan { runs: missed.chain(due).collect(), skipped, passed, next }
}

impl Plan {
    /// Whether these runs are to take place one after the other, whatever the overlap: somebody wants each slot, and they
    /// come together because the dispatcher is late. Slots that are due beside an open run are the overlap's business.
    pub fn is_a_line(&self, catch_up: CatchUp, open: Open) -> bool {
        let has_missed = self.runs.iter().any(|run| run.timeliness == Timeliness::Missed);
        catch_up == CatchUp::All && (has_missed || open == Open::default())
    }

    /// Says which of the runs really takes place, once that is decided: it is the one that stands for others.
    pub fn stand_in(&mut self, ran: Option<Moment>) {
        for skipped in &mut self.skipped {
            if let Why::StoodFor(_) = skipped.why {
                skipped.why = ran.map_or(Why::StoodForByNone, Why::StoodFor);
            }
        }
    }
}

impl Rules {
    /// Whether a slot was missed too long ago.
    pub(super) fn too_long_ago(&self, slot: Moment, now: Moment) -> bool {
        slot < now.saturating_sub(self.window)
    }

    fn why(&self, slot: Moment, now: Moment, stand_in: Option<Moment>) -> Why {
        match (self.catch_up, stand_in) {
            (CatchUp::Skip, _) => Why::NotWanted,
            (CatchUp::One, Some(other)) => Why::StoodFor(other),
            _ if self.too_long_ago(slot, now) => Why::TooLongAgo(self.window),
            _ => Why::TooMany(self.most),
        }
    }
}

impl CatchUp {
    /// Reads the name of a policy.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::One, Self::Skip, Self::All].into_iter().find(|policy| policy.as_str() == name)
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Skip => "skip",
            Self::All => "all",
        }
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            Count::Exactly(1) => write!(f, "it was missed, and {}", self.why),
            Count::Exactly(count) => {
                write!(f, "{count} slots from {} to {} were missed, and {}", self.first, self.last, self.why)
            }
            Count::AtLeast(count) => {
                write!(f, "more than {count} slots from {} to {} were missed, and {}", self.first, self.last, self.why)
            }
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLongAgo(window) => {
                write!(f, "that was longer ago than the catchup_window of {} s", window.as_secs())
            }
            Self::StoodFor(slot) => write!(f, "with catchup 'one' the run of {slot} stands for it"),
            Self::StoodForByNone => {
                f.write_str("the run that would have stood for it did not take place, as the one before had not ended")
            }
            Self::NotWanted => f.write_str("catchup is 'skip'"),
            Self::TooMany(most) => write!(f, "pg_edge.max_catchup allows to make up for {most}"),
        }
    }
}
