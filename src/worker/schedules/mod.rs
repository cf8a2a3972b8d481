//! The schedules of a dispatcher: when there is something to do about them, and what follows from what was done.
//!
//! Runs on the main thread of a dispatcher. What is on disk decides; memory knows when to look, and which run each call
//! belongs to. While nothing is due, no statement is run, however many schedules there are.

mod begin;
mod carry_out;
mod memory;
mod turn;
mod verdict;

use std::cell::Cell;
use std::time::{Instant, SystemTime};

use pgrx::PgSqlErrorCode;

pub(in crate::worker) use memory::Schedules;
use memory::{Care, Clocks, MayRun, PAUSE, Stage};

use crate::domain::schedule::steady_clock::SteadyClock;
use crate::store::schedules::due;
use crate::store::schedules::open_runs::CallEnd;
use crate::store::schedules::runs::Slot;
use crate::store::transaction::Aborted;
use crate::worker::house::in_place;
use crate::worker::schedules::turn::Done;
use crate::worker::turn::Dispatcher;

/// Why a run ends that waits when its schedule's owner loses the right to have it.
pub(in crate::worker) const NO_RIGHTS: &str =
    "the role that owns its schedule has no right to use schema edge any more";

impl Dispatcher {
    /// Whether runs may begin now.
    pub(in crate::worker) fn may_run(&self) -> MayRun {
        if self.paused || self.stopping { MayRun::No } else { MayRun::Yes }
    }

    /// Does what there is to do about schedules and their commands. Starting a process takes a while, so calls that have
    /// just been queued go out first: the turn that sends them follows at once.
    pub(in crate::worker) fn run_schedules(&mut self, now: SystemTime) {
        let before = self.schedules.calls.len();
        self.keep_schedules();
        let has_queued = self.wants.scan && self.schedules.calls.len() > before;
        if !has_queued {
            self.look_after_commands(now);
        }
    }

    /// Does what there is to do about schedules. A failure costs the calls nothing: it is logged, and tried again.
    fn keep_schedules(&mut self) {
        if self.schedules.resting_until.is_some_and(|until| until > Instant::now()) {
            return;
        }
        // Somebody may just have paused. What has been told is read in the next turn, which begins at once.
        if self.has_been_told() {
            return;
        }
        self.schedules.resting_until = None;
        // What had to wait for the end of the pause may begin.
        if std::mem::replace(&mut self.schedules.was_paused, self.paused) && !self.paused {
            self.schedules.want();
        }
        let clocks = self.schedules.read_clocks();
        if !self.begin_schedules(clocks) {
            return;
        }
        self.finish_beginning(clocks);
        self.schedules.release_held(clocks);
        self.schedules.release_aside();
        let again = self.schedules.again_at.take_if(|at| *at <= Instant::now()).is_some();
        if again && !self.schedules.overtaken.is_empty() {
            // One was out of reach, such as on its way from one attempt to the next.
            self.wants.cancellations = true;
        }
        let may_run = self.may_run();
        let due = may_run == MayRun::Yes && self.schedules.is_due(clocks);
        let changed = self.schedules.stage == Stage::Changed;
        if !(again || due || changed || !self.schedules.ended.is_empty()) {
            return;
        }
        if changed {
            // One of them may be another now.
            self.schedules.held.clear();
        }
        // A transaction that fails hands back nothing else.
        let in_hand = Cell::new(None);
        match in_place(|| self.schedules_in_transaction(clocks, may_run, &in_hand)) {
            Ok(Some(done)) => self.schedules_committed(done),
            Ok(None) => self.schedules.rest(),
            Err(aborted) => self.schedules_failed(&aborted, in_hand.get()),
        }
    }

    /// Finds out where things stand, once. Whether that is known.
    fn begin_schedules(&mut self, clocks: Clocks) -> bool {
        match self.schedules.stage {
            Stage::Beginning | Stage::ClockReset => {}
            Stage::Changed | Stage::Known => return true,
        }
        match in_place(|| begin::begin(self.schedules.stage, clocks)) {
            Ok(Some(begun)) => {
                self.schedules.clock = SteadyClock::showing(begun.steady, Instant::now());
                self.schedules.keep_rest(begun.rest);
                self.schedules.held.clear();
                self.schedules.stage = Stage::Changed;
                true
            }
            Ok(None) => {
                self.schedules.rest();
                false
            }
            Err(aborted) => {
                self.schedules.complain(&aborted.to_string());
                self.schedules.rest();
                false
            }
        }
    }

    /// Does what somebody had locked when things began.
    fn finish_beginning(&mut self, clocks: Clocks) {
        let Some((rest, _)) = self.schedules.rest_of_beginning.take_if(|(_, at)| *at <= Instant::now()) else { return };
        match in_place(|| begin::finish(rest, clocks)) {
            Ok(Some(finished)) => {
                self.schedules.keep_rest(finished.rest);
                if finished.due_now > 0 {
                    self.schedules.want();
                }
            }
            Ok(None) => self.schedules.keep_rest(Some(rest)),
            Err(aborted) => {
                self.schedules.complain(&aborted.to_string());
                self.schedules.keep_rest(Some(rest));
            }
        }
    }

    /// What was done is committed.
    fn schedules_committed(&mut self, done: Done) {
        crate::worker::failpoint::hit("after_run_commit");
        let schedules = &mut self.schedules;
        if done.left == Left::Nothing {
            schedules.care = Care::Batch;
        }
        let mut known: Vec<(Slot, CallEnd)> = std::mem::take(&mut schedules.ended);
        known.append(&mut schedules.postponed);
        let is_postponed = |slot: &Slot| done.postponed.iter().any(|other| other == slot);
        schedules.postponed = known.into_iter().chain(done.ended).filter(|(slot, _)| is_postponed(slot)).collect();
        if let Some(waiting) = done.waiting_found {
            schedules.waiting = waiting;
        }
        schedules.waiting.extend(done.waiting);
        schedules.crowded = done.crowded;
        schedules.blocked = done.blocked;
        self.wants.scan |= !done.made.is_empty();
        self.wants.commands |= done.commands;
        self.wants.cancellations |= !done.overtaken.is_empty();
        schedules.overtaken.extend(done.overtaken);
        schedules.calls.extend(done.calling);
        schedules.calls.extend(done.made);
        schedules.held.extend(done.held);
        if let Some(next_due) = done.next_due {
            schedules.next_due = next_due;
            schedules.stage = Stage::Known;
        }
        let is_left = !(schedules.postponed.is_empty()
            && schedules.crowded.is_empty()
            && schedules.overtaken.is_empty()
            && schedules.blocked.is_empty());
        if done.left == Left::Locked || is_left {
            schedules.again_at = Some(Instant::now() + PAUSE);
        }
    }

    /// The transaction failed. If the server is not at fault, a row is; it is looked for, and taken out of service.
    fn schedules_failed(&mut self, aborted: &Aborted, in_hand: Option<i64>) {
        self.schedules.complain(&aborted.to_string());
        if aborted.sqlstate == PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE {
            // Something of one schedule is locked. That one waits, and the others go on.
            match (self.schedules.care, in_hand) {
                (Care::Batch, _) => self.schedules.care = Care::OneByOne,
                (Care::OneByOne, Some(schedule)) => self.schedules.set_aside(schedule),
                (Care::OneByOne, None) => self.schedules.rest(),
            }
        } else if aborted.is_transient() {
            self.schedules.rest();
        } else if let (Care::OneByOne, Some(schedule)) = (self.schedules.care, in_hand) {
            let note = format!("it could not be run: {}; edge.resume_schedule has it tried again", aborted.message);
            if in_place(|| due::disable(&[(schedule, note)])).is_err() {
                self.schedules.rest();
            }
        } else if self.schedules.care == Care::Batch {
            self.schedules.care = Care::OneByOne;
        } else {
            self.schedules.rest();
        }
    }
}

/// What of that which is due was left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::worker) enum Left {
    #[default]
    Nothing,
    /// There was more than is done at once.
    More,
    /// Somebody has locked it.
    Locked,
}
