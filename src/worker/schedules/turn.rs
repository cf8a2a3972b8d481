//! One transaction about schedules: runs whose calls have ended, runs that need not wait any longer, and what is due.
//!
//! Runs on the main thread of a dispatcher. Reads the dispatcher's memory and changes none of it: what follows from a commit
//! is handed back, and beside that, for a transaction that fails, which schedule it had in hand.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::domain::moment::Moment;
use crate::error::Error;
use crate::store::schedules::due::{self, Due, Rights};
use crate::store::schedules::open_runs::{self, CallEnd, OpenRun};
use crate::store::schedules::runs::{self, Slot};
use crate::store::schedules::waiting_runs::{self, Ready};
use crate::worker::failpoint;
use crate::worker::queued::{self, Rooms};
use crate::worker::schedules::verdict::{Planned, Standing, UNREADABLE, Verdict, verdict};
use crate::worker::schedules::{Care, Clocks, Left, MayRun, NO_RIGHTS, Stage};
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
    /// Schedules with a call that waits for room only: its role has as many as it may.
    pub crowded: Vec<i64>,
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
    /// Does all there is to do. `in_hand` is the schedule that is taken on by itself, if one is.
    pub(in crate::worker) fn schedules_in_transaction(
        &self,
        clocks: Clocks,
        may_run: MayRun,
        in_hand: &Cell<Option<i64>>,
    ) -> Result<Done, Error> {
        let mut done = Done::default();
        self.end_runs(&mut done)?;
        if may_run == MayRun::Yes {
            self.begin_waiting(&mut done)?;
            self.run_due(clocks, in_hand, &mut done)?;
        }
        self.look_ahead(clocks, may_run, &mut done)?;
        failpoint::hit("before_run_commit");
        Ok(done)
    }

    /// Writes the ends of runs whose calls have ended.
    fn end_runs(&self, done: &mut Done) -> Result<(), Error> {
        let schedules = &self.schedules;
        if schedules.stage != Stage::Known {
            for found in open_runs::calling(schedules.calls.keys().copied().collect())? {
                if found.overtaken && found.ended.is_none() {
                    done.overtaken.push(found.call_id);
                }
                match found.ended {
                    Some(end) => done.ended.push((found.slot, end)),
                    None => done.calling.push((found.call_id, found.slot)),
                }
            }
            done.waiting_found = Some(waiting_runs::with_waiting()?.into_iter().collect());
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
                let freed = ended.chain(schedules.crowded.iter().copied());
                let freed = freed.filter(|schedule| schedules.waiting.contains(schedule));
                freed.chain(schedules.blocked.iter().copied()).collect()
            }
        };
        if freed.is_empty() {
            return Ok(());
        }
        let waiting_runs::Freed { runs: found, locked } = waiting_runs::ready(freed)?;
        done.blocked = locked;
        // What was read may have been asked for after a pause that is not known here yet.
        if self.has_been_told() {
            done.blocked.extend(found.iter().map(|run| run.template.schedule));
            return Ok(());
        }
        let (allowed, barred): (Vec<_>, Vec<_>) = found.into_iter().partition(|run| run.rights == Rights::Usual);
        let mut rooms = Rooms::default();
        let has_room = |run: &Ready| rooms.of(run.template.owner).take(1).is_ok();
        // What has been waiting for its turn has been promised. Without room it goes on waiting, and nothing is lost.
        let (ready, crowded): (Vec<_>, Vec<_>) = allowed.into_iter().partition(has_room);
        done.crowded = crowded.iter().map(|run| run.template.schedule).collect();
        let begun: Vec<_> = ready.iter().map(|run| (&run.template, run.slot.scheduled_for)).collect();
        let ids = runs::begin(&self.database_id, &begun)?;
        for (run, call) in ready.iter().zip(ids) {
            let Some(call) = call else { continue };
            queued::note(run.template.owner);
            done.made.push((call, run.slot));
        }
        end_all_waiting(&barred)
    }

    /// Makes of the schedules that are due what they are.
    fn run_due(&self, clocks: Clocks, in_hand: &Cell<Option<i64>>, done: &mut Done) -> Result<(), Error> {
        let but = self.schedules.passed_over();
        let limit = match self.schedules.care {
            Care::Batch => BATCH,
            Care::OneByOne => {
                in_hand.set(due::first(clocks.steady, &but)?);
                1
            }
        };
        let rows = due::due(clocks.steady, &but, limit)?;
        if rows.len() == limit {
            done.left = Left::More;
        }
        // As above.
        if self.has_been_told() {
            done.left = Left::More;
            return Ok(());
        }
        let mut open = open_of(&rows)?;
        let started = Instant::now();
        let mut taken = Taken::default();
        for row in rows {
            if started.elapsed() > LONGEST {
                done.left = Left::More;
                break;
            }
            match row {
                Ok(row) => {
                    let open = open.remove(&row.template.schedule).unwrap_or_default();
                    taken.take_on(row, Standing { clocks, most: self.settings.max_catchup, open }, done);
                }
                Err(unreadable) => taken.disabled.push((unreadable.schedule, UNREADABLE.to_owned())),
            }
        }
        due::disable(&taken.disabled)?;
        self.carry_out(&taken.planned, done)
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

/// What becomes of the schedules that one transaction takes on.
#[derive(Default)]
struct Taken {
    /// Those that are taken out of service, and why.
    disabled: Vec<(i64, String)>,
    planned: Vec<Planned>,
    rooms: Rooms,
    /// Slots that were decided about.
    slots: usize,
}

impl Taken {
    fn take_on(&mut self, row: Due, standing: Standing, done: &mut Done) {
        let schedule = row.template.schedule;
        let listed = if self.slots < LISTED_IN_ALL { LISTED } else { 0 };
        let room = self.rooms.of(row.template.owner);
        match verdict(row, standing, listed, room) {
            Verdict::Disable(note) => self.disabled.push((schedule, note)),
            Verdict::Hold(until) => done.held.push((schedule, until)),
            Verdict::Planned(plan) => {
                self.slots += plan.decided.slots.len();
                self.planned.push(*plan);
            }
        }
    }
}

/// Ends all the runs that wait of schedules whose owners may no longer have them. Their schedules are locked.
fn end_all_waiting(barred: &[Ready]) -> Result<(), Error> {
    if barred.is_empty() {
        return Ok(());
    }
    let schedules: Vec<i64> = barred.iter().map(|run| run.slot.schedule).collect();
    let waiting = waiting_runs::waiting_of(schedules)?.into_iter();
    let end = CallEnd { state: "failed", error: Some(NO_RIGHTS.to_owned()) };
    open_runs::finish(&waiting.map(|slot| (slot, end.clone())).collect::<Vec<_>>())?;
    Ok(())
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
