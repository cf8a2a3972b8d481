//! One transaction about schedules: runs whose calls have ended, runs that need not wait any longer, and what is due.
//!
//! Runs on the main thread of a dispatcher. Reads the dispatcher's memory and changes none of it: what follows from a commit
//! is handed back.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::domain::moment::Moment;
use crate::error::Error;
use crate::store::schedules::commands::Stage;
use crate::store::schedules::due::{self, Due, Progress};
use crate::store::schedules::open_runs::{self, CallEnd, OpenRun};
use crate::store::schedules::runs::{self, NewRun, Slot};
use crate::worker::failpoint;
use crate::worker::queued;
use crate::worker::schedules::verdict::{Context, Planned, UNREADABLE, Verdict, verdict};
use crate::worker::schedules::{self, Care, Clocks, Left, MayRun};
use crate::worker::turn::Dispatcher;

/// Schedules that are taken on in one transaction, and for how long: calls wait meanwhile.
const BATCH: usize = 500;
const LONGEST: Duration = Duration::from_millis(100);

/// Skipped slots that are listed one by one, for one schedule and for all those of a transaction.
const LISTED: usize = 100;
const LISTED_IN_ALL: usize = 1_000;

/// What a transaction has done.
#[derive(Default)]
pub(in crate::worker) struct Done {
    /// Runs that were found, with calls that have not ended.
    pub calling: Vec<(i64, Slot)>,
    /// Runs that were found, with calls that have.
    pub ended: Vec<(Slot, CallEnd)>,
    /// Ends that are not written, because somebody has locked the schedule.
    pub postponed: Vec<Slot>,
    /// All schedules with a call that waits, if they were read.
    pub waiting_found: Option<HashSet<i64>>,
    /// More of them.
    pub waiting: Vec<i64>,
    /// Those of which one could begin, had not somebody else locked them.
    pub blocked: HashSet<i64>,
    /// Calls that were queued.
    pub made: Vec<(i64, Slot)>,
    /// There are commands to be run or ended.
    pub commands: bool,
    /// Calls that are to be cancelled.
    pub overtaken: Vec<i64>,
    /// Schedules that wait for the clock on the wall, and for which time.
    pub held: Vec<(i64, Moment)>,
    /// When the next one is due, if that was read.
    pub next_due: Option<Option<Moment>>,
    pub left: Left,
}

impl Dispatcher {
    /// Does all there is to do.
    pub(in crate::worker) fn schedules_in_transaction(&self, clocks: Clocks, may_run: MayRun) -> Result<Done, Error> {
        let mut done = Done::default();
        self.end_runs(&mut done)?;
        if may_run == MayRun::Yes {
            self.begin_waiting(&mut done)?;
            self.run_due(clocks, &mut done)?;
        }
        self.look_ahead(clocks, may_run, &mut done)?;
        failpoint::hit("before_run_commit");
        Ok(done)
    }

    /// Writes the ends of runs whose calls have ended.
    fn end_runs(&self, done: &mut Done) -> Result<(), Error> {
        let known = schedules::Stage::Known;
        let schedules = &self.schedules;
        if schedules.stage != known {
            for found in open_runs::calling(schedules.calls.keys().copied().collect())? {
                if found.overtaken && found.ended.is_none() {
                    done.overtaken.push(found.call_id);
                }
                match found.ended {
                    Some(end) => done.ended.push((found.slot, end)),
                    None => done.calling.push((found.call_id, found.slot)),
                }
            }
            done.waiting_found = Some(open_runs::with_waiting()?.into_iter().collect());
        }
        let ends = [schedules.ended.as_slice(), &schedules.postponed, &done.ended].concat();
        done.postponed = open_runs::finish(&ends)?;
        Ok(())
    }

    /// Has calls begin that were waiting for one that has ended.
    fn begin_waiting(&self, done: &mut Done) -> Result<(), Error> {
        let schedules = &self.schedules;
        let freed: Vec<i64> = match &done.waiting_found {
            Some(waiting) => waiting.iter().copied().collect(),
            None => {
                let ended = schedules.ended.iter().chain(&schedules.postponed).map(|(slot, _)| slot.schedule);
                let freed = ended.filter(|schedule| schedules.waiting.contains(schedule));
                freed.chain(schedules.blocked.iter().copied()).collect()
            }
        };
        if freed.is_empty() {
            return Ok(());
        }
        let open_runs::Ready { runs: ready, locked } = open_runs::ready(freed)?;
        done.blocked = locked;
        let begun: Vec<_> = ready.iter().map(|(template, slot)| (template, slot.scheduled_for)).collect();
        let ids = runs::begin(&self.database_id, &begun)?;
        for ((template, slot), call) in ready.iter().zip(ids) {
            let Some(call) = call else { continue };
            queued::note(template.owner);
            done.made.push((call, *slot));
        }
        Ok(())
    }

    /// Makes of the schedules that are due what they are.
    fn run_due(&self, clocks: Clocks, done: &mut Done) -> Result<(), Error> {
        let but = self.schedules.passed_over();
        let limit = match self.schedules.care {
            Care::Batch => BATCH,
            Care::OneByOne => {
                self.schedules.in_hand.set(due::first(clocks.steady, &but)?);
                1
            }
        };
        let rows = due::due(clocks.steady, &but, limit)?;
        if rows.len() == limit {
            done.left = Left::More;
        }
        let mut open = open_of(&rows)?;
        let started = Instant::now();
        let mut listed = 0;
        let mut disabled = Vec::new();
        let mut planned = Vec::new();
        for row in rows {
            if started.elapsed() > LONGEST {
                done.left = Left::More;
                break;
            }
            let row = match row {
                Ok(row) => row,
                Err(unreadable) => {
                    disabled.push((unreadable.schedule, UNREADABLE.to_owned()));
                    continue;
                }
            };
            let context = Context {
                clocks,
                most: self.settings.max_catchup,
                listed: if listed < LISTED_IN_ALL { LISTED } else { 0 },
                open: open.remove(&row.template.schedule).unwrap_or_default(),
            };
            let schedule = row.template.schedule;
            match verdict(row, &context)? {
                Verdict::Disable(note) => disabled.push((schedule, note)),
                Verdict::Hold(until) => done.held.push((schedule, until)),
                Verdict::Planned(plan) => {
                    listed += plan.runs.len();
                    planned.push(*plan);
                }
            }
        }
        due::disable(&disabled)?;
        self.carry_out(&planned, done)
    }

    /// Writes the runs of schedules that are due, and moves the schedules on.
    fn carry_out(&self, planned: &[Planned], done: &mut Done) -> Result<(), Error> {
        for plan in planned {
            let stopped = plan.to_stop.iter().map(|open| (open.slot, plan.stop_reason()));
            let waiting: Vec<(Slot, CallEnd)> = stopped.collect();
            // They are cancelled from memory, once this is committed. To ask for it in the table could mean to wait for
            // somebody who is just asking for the same.
            done.overtaken.extend(plan.to_stop.iter().filter_map(|open| open.call_id));
            if plan.row.template.is_command() {
                if !plan.to_stop.is_empty() {
                    open_runs::ask_to_end(plan.row.template.schedule)?;
                }
            } else {
                let uncalled = || plan.to_stop.iter().zip(&waiting).filter(|(open, _)| open.call_id.is_none());
                let ends = uncalled().filter(|(open, _)| open.stage == Stage::Waiting);
                open_runs::finish(&ends.map(|(_, end)| end.clone()).collect::<Vec<_>>())?;
                // The schedule has run commands before.
                if uncalled().any(|(open, _)| open.stage == Stage::Running) {
                    open_runs::ask_to_end(plan.row.template.schedule)?;
                    done.commands = true;
                }
            }
        }
        open_runs::overtake(&done.overtaken)?;
        let new: Vec<NewRun<'_>> = planned.iter().flat_map(Planned::new_runs).collect();
        let made = runs::materialise(&self.database_id, &new)?;
        for (run, made) in new.iter().zip(made) {
            let Some(made) = made else { continue };
            let slot = Slot { schedule: run.template.schedule, scheduled_for: run.scheduled_for };
            if let Some(call) = made.call_id {
                queued::note(run.template.owner);
                done.made.push((call, slot));
            } else if run.is_open() {
                if run.template.is_command() {
                    done.commands = true;
                } else {
                    done.waiting.push(slot.schedule);
                }
            }
        }
        let moved: Vec<Progress> = planned.iter().map(Planned::progress).collect();
        due::move_on(&moved)
    }

    /// Finds out when the next schedule is due.
    fn look_ahead(&self, clocks: Clocks, may_run: MayRun, done: &mut Done) -> Result<(), Error> {
        let mut but = self.schedules.passed_over();
        but.extend(done.held.iter().map(|(id, _)| *id));
        let ahead = due::ahead(clocks.steady, &but)?;
        let left_over = ahead.left_over && may_run == MayRun::Yes;
        if left_over && done.left == Left::Nothing {
            done.left = Left::Locked;
        }
        let due_already = ahead.left_over && (done.left == Left::More || may_run == MayRun::No);
        done.next_due = Some(if due_already { Some(clocks.steady) } else { ahead.next });
        Ok(())
    }
}

/// The runs that have not ended, of those schedules to which they matter.
fn open_of(rows: &[Result<Due, due::Unreadable>]) -> Result<HashMap<i64, Vec<OpenRun>>, Error> {
    let matters = rows.iter().flatten().filter(|row| row.overlap != "allow");
    let ids: Vec<i64> = matters.map(|row| row.template.schedule).collect();
    let mut open: HashMap<i64, Vec<OpenRun>> = HashMap::new();
    if !ids.is_empty() {
        for run in open_runs::of(&ids)? {
            open.entry(run.slot.schedule).or_default().push(run);
        }
    }
    Ok(open)
}
