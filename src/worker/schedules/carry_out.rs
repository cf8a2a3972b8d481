//! Writing what was decided about schedules that are due: which runs end, which begin, and how the schedules go on.
//!
//! Runs on the main thread of a dispatcher, in the transaction that has locked the schedules.

use crate::domain::schedule::decision::{Action, OVERTAKEN};
use crate::error::Error;
use crate::store::schedules::commands::Stage;
use crate::store::schedules::due::{self, Progress};
use crate::store::schedules::open_runs::{self, CallEnd};
use crate::store::schedules::runs::{self, Made, NewRun, Slot};
use crate::worker::queued;
use crate::worker::schedules::turn::Done;
use crate::worker::schedules::verdict::Planned;
use crate::worker::turn::Dispatcher;

impl Dispatcher {
    /// Ends the runs that later ones take the place of, writes the new ones, and moves their schedules on.
    pub(super) fn carry_out(&self, planned: &[Planned], done: &mut Done) -> Result<(), Error> {
        for plan in planned.iter().filter(|plan| !plan.to_stop().is_empty()) {
            // They are cancelled from memory, once this is committed. To ask for it in the table could mean to wait for somebody
            // who is just asking for the same.
            done.overtaken.extend(plan.to_stop().iter().filter_map(|open| open.call_id));
            match plan.row.template.work.action() {
                Action::Command => open_runs::ask_to_end(plan.row.template.schedule).map(drop)?,
                Action::Call => stop_waiting(plan, done)?,
            }
        }
        open_runs::overtake(&done.overtaken)?;
        let new: Vec<NewRun<'_>> = planned.iter().flat_map(Planned::new_runs).collect();
        let made = runs::materialise(&self.database_id, &new)?;
        for (run, made) in new.iter().zip(made) {
            if let Some(made) = made {
                note_run(run, made, done);
            }
        }
        let moved: Vec<Progress> = planned.iter().map(Planned::progress).collect();
        due::move_on(&moved)
    }
}

/// Ends the runs of a schedule that have no call yet.
fn stop_waiting(plan: &Planned, done: &mut Done) -> Result<(), Error> {
    let uncalled = || plan.to_stop().iter().filter(|open| open.call_id.is_none());
    let end = CallEnd { state: "cancelled", error: Some(OVERTAKEN.to_owned()) };
    let waiting = uncalled().filter(|open| open.stage == Stage::Waiting);
    let ends: Vec<_> = waiting.map(|open| (open.slot, end.clone())).collect();
    // None has to be written later: this transaction has locked their schedules.
    open_runs::finish(&ends)?;
    // The schedule has run commands before.
    if uncalled().any(|open| open.stage == Stage::Running) {
        open_runs::ask_to_end(plan.row.template.schedule)?;
        done.commands = true;
    }
    Ok(())
}

/// Notes what follows from a run that was written.
fn note_run(run: &NewRun<'_>, made: Made, done: &mut Done) {
    let slot = Slot { schedule: run.template.schedule, scheduled_for: run.scheduled_for };
    if let Some(call) = made.call_id {
        queued::note(run.template.owner);
        done.made.push((call, slot));
    } else if run.beginning.is_open() {
        match run.template.work.action() {
            Action::Command => done.commands = true,
            Action::Call => done.waiting.push(slot.schedule),
        }
    }
}
