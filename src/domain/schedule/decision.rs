//! What becomes of a schedule whose time has come: which runs it gets, how each of them begins, and how it goes on.
//!
//! Which slots run is said by [`catch_up`], what stands in their way by [`overlap`](super::overlap), and how many calls the
//! owner may still have by its room.

use super::catch_up::{self, Plan, Rules, Run, Skipped, Slots, Timeliness};
use super::missed::Count;
use super::overlap::{Decision, Open, Overlap};
use super::{Kind, Next};
use crate::domain::moment::Moment;
use crate::domain::room::Room;

/// Why a run does not take place, or ends, that a later one cancels before it has begun.
pub const OVERTAKEN: &str = "with overlap 'cancel' a later run took its place";

/// Why a slot is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Its time has come.
    Due,
    /// It had been missed.
    Missed,
    /// Somebody wants a run now.
    Now,
    /// Somebody wants slots of the past to be run. A slot that was skipped then is run after all.
    Backfill,
}

/// How a run begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// Its call is queued. A command waits for a process of its own.
    AtOnce,
    /// It waits until others of its schedule have ended.
    Waiting,
    /// It failed already; says why.
    Refused(String),
    /// It does not take place.
    Skipped {
        /// Why.
        why: String,
        /// It stands for so many slots in a row.
        slots: i64,
    },
}

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It makes a call.
    Call,
    /// It runs a command. Those of a schedule are run one at a time, each in a process of its own.
    Command,
}

/// A schedule whose time has come, and how things stand.
#[derive(Clone, Copy)]
pub struct Turn<'a> {
    /// When it is due.
    pub slots: &'a dyn Slots,
    /// Which sort of schedule it is.
    pub kind: Kind,
    /// What it does.
    pub action: Action,
    /// What becomes of a run while others have not ended.
    pub overlap: Overlap,
    /// What is made up for.
    pub rules: Rules,
    /// The slot that was planned.
    pub slot: Moment,
    /// The last slot that was dealt with.
    pub passed: Moment,
    /// By the clock that it follows.
    pub now: Moment,
    /// Its runs that have not ended.
    pub open: Open,
}

/// What becomes of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// What becomes of its slots, in their order.
    pub slots: Vec<Fate>,
    /// What becomes of its other runs.
    pub others: Others,
    /// The last slot that has been dealt with.
    pub passed: Moment,
    /// The slot that comes next.
    pub next: Option<Next>,
}

/// What becomes of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// Which.
    pub slot: Moment,
    /// Why it is run.
    pub origin: Origin,
    /// How its run begins, if it does.
    pub beginning: Beginning,
}

/// What becomes of the runs that have not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// They are let alone.
    GoOn,
    /// They are cancelled.
    End,
}

impl Turn<'_> {
    /// Decides about all slots that are due, and takes the room of the calls that are to be made.
    pub fn decide(self, room: &mut Room) -> Decided {
        let mut plan = self.plan();
        let mut fates = Vec::with_capacity(plan.runs.len() + plan.skipped.len());
        let (mut open, mut others) = (self.open, Others::GoOn);
        let in_line = plan.is_a_line(self.rules.catch_up, open);
        let last = plan.runs.last().map(|run| run.slot);
        for run in &plan.runs {
            let beginning = if self.overlap == Overlap::Cancel && Some(run.slot) != last {
                skip(OVERTAKEN)
            } else {
                let decision = if in_line { self.overlap.decide_in_line(open) } else { self.overlap.decide(open) };
                self.begin(decision, &mut open, &mut others, room)
            };
            let origin = match run.timeliness {
                Timeliness::Due => Origin::Due,
                Timeliness::Missed => Origin::Missed,
            };
            fates.push(Fate { slot: run.slot, origin, beginning });
        }
        let ran = fates.iter().find(|fate| !matches!(fate.beginning, Beginning::Skipped { .. }));
        plan.stand_in(ran.map(|fate| fate.slot));
        fates.extend(plan.skipped.iter().map(Fate::of_skipped));
        fates.sort_by_key(|fate| fate.slot);
        let next = plan.next.map(|slot| Next::of(self.slots, slot));
        Decided { slots: fates, others, passed: plan.passed, next }
    }

    fn plan(&self) -> Plan {
        match self.kind {
            // Nobody knows beforehand when it comes, so it is never late.
            Kind::Reboot => Plan {
                runs: vec![Run { slot: self.slot, timeliness: Timeliness::Due }],
                skipped: Vec::new(),
                passed: self.slot.max(self.passed),
                next: None,
            },
            Kind::Cron | Kind::Every | Kind::At => catch_up::plan(self.slots, self.passed, self.now, self.rules),
        }
    }

    fn begin(&self, decision: Decision, open: &mut Open, others: &mut Others, room: &mut Room) -> Beginning {
        match decision {
            Decision::Skip(why) => return skip(&why.to_string()),
            Decision::Wait => {
                open.waiting += 1;
                return Beginning::Waiting;
            }
            Decision::CancelThenRun | Decision::Run => {}
        }
        if self.action == Action::Call
            && let Err(full) = room.take(1)
        {
            return Beginning::Refused(full.to_string());
        }
        // One that is refused ends no other.
        if decision == Decision::CancelThenRun {
            *others = Others::End;
        }
        open.running += 1;
        Beginning::AtOnce
    }
}

impl Action {
    /// How things stand when so many runs have not ended, of which so many have a call. Of commands all but one wait.
    pub fn open(self, runs: usize, calling: usize) -> Open {
        let running = match self {
            Self::Call => calling,
            Self::Command => runs.min(1),
        };
        Open { running, waiting: runs - running }
    }
}

impl Decided {
    /// What the last run came to, if that is known already. A slot that is skipped has none.
    pub fn last_state(&self) -> Option<&'static str> {
        let refused = self.slots.iter().any(|fate| matches!(fate.beginning, Beginning::Refused(_)));
        refused.then_some("failed")
    }
}

impl Fate {
    fn of_skipped(skipped: &Skipped) -> Self {
        let (Count::Exactly(slots) | Count::AtLeast(slots)) = skipped.count;
        let slots = i64::try_from(slots).unwrap_or(i64::MAX);
        let beginning = Beginning::Skipped { why: skipped.to_string(), slots };
        Self { slot: skipped.first, origin: Origin::Missed, beginning }
    }
}

impl Beginning {
    /// Whether the run has not ended when it is written.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::AtOnce | Self::Waiting)
    }
}

fn skip(why: &str) -> Beginning {
    Beginning::Skipped { why: why.to_owned(), slots: 1 }
}
