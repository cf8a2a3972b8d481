//! What becomes of one schedule that is due: which runs it gets, how each begins, and when it is due again.
//!
//! Runs on the main thread of a dispatcher: the time zones are Postgres' own. The decisions are the domain's.

use crate::domain::moment::Moment;
use crate::domain::schedule::catch_up::{self, CatchUp, Plan, Rules, Run, Slots, Timeliness};
use crate::domain::schedule::missed::Count;
use crate::domain::schedule::overlap::{Decision, Open, Overlap};
use crate::domain::schedule::planning::{self, Bounds, Spread};
use crate::domain::schedule::{Course, Dst, Kind, Schedule, Timing};
use crate::error::Error;
use crate::store::owner;
use crate::store::schedules::due::{Due, Progress, Rights};
use crate::store::schedules::open_runs::{CallEnd, OpenRun};
use crate::store::schedules::runs::{Beginning, NewRun, Origin, Template, Work};
use crate::store::time::of_moment;
use crate::store::zone::PgZone;
use crate::worker::queued;
use crate::worker::schedules::Clocks;

/// Why a schedule is taken out of service of whose row nothing can be made.
pub(in crate::worker) const UNREADABLE: &str =
    "its row cannot be understood; say it anew with edge.schedule, edge.schedule_invoke or edge.schedule_http";

/// Why a run does not take place that a later one would cancel at once.
const OVERTAKEN: &str = "with overlap 'cancel' a later run took its place";

/// What a verdict rests on besides the row.
pub(in crate::worker) struct Context {
    pub clocks: Clocks,
    /// The most runs that are made up for.
    pub most: usize,
    /// Skipped slots that are listed one by one.
    pub listed: usize,
    /// The schedule's runs that have not ended.
    pub open: Vec<OpenRun>,
}

/// What becomes of a schedule that is due.
pub(in crate::worker) enum Verdict {
    /// It is taken out of service, for this reason.
    Disable(String),
    /// It has a fixed time, and the clock on the wall does not show it yet.
    Hold(Moment),
    Planned(Box<Planned>),
}

/// A schedule that is due, and what it gets.
pub(in crate::worker) struct Planned {
    pub row: Due,
    /// Its runs, in the order of their slots.
    pub runs: Vec<(Moment, Origin, Beginning)>,
    /// Runs that are to end.
    pub to_stop: Vec<OpenRun>,
    passed: Moment,
    next: Option<planning::Next>,
}

/// Decides about a schedule.
pub(in crate::worker) fn verdict(row: Due, context: &Context) -> Result<Verdict, Error> {
    let read = match Read::of(&row) {
        Ok(read) => read,
        Err(note) => return Ok(Verdict::Disable(note)),
    };
    let now = if read.schedule.follows_real_time() { context.clocks.steady } else { context.clocks.wall };
    if row.due_at > now {
        return Ok(Verdict::Hold(row.due_at));
    }
    let course = read.course(&row);
    let rules = Rules { catch_up: read.catch_up, window: row.window, most: context.most, listed: context.listed };
    let plan = match read.schedule.kind() {
        // Nobody knows beforehand when it comes, so it is never late.
        Kind::Reboot => Plan {
            runs: vec![Run { slot: row.slot, timeliness: Timeliness::Due }],
            skipped: Vec::new(),
            passed: row.slot.max(row.passed),
            next: None,
        },
        _ => catch_up::plan(&course, row.passed, now, rules),
    };
    let next = plan.next.map(|slot| planning::Next { slot, due: course.due_at(slot) });
    let mut planned = Planned { runs: Vec::new(), to_stop: Vec::new(), passed: plan.passed, next, row };
    planned.decide(plan, &read, &context.open);
    Ok(Verdict::Planned(Box::new(planned)))
}

/// The words of a row, understood.
struct Read {
    schedule: Schedule,
    zone: PgZone,
    dst: Dst,
    overlap: Overlap,
    catch_up: CatchUp,
}

impl Read {
    /// Understands a row, or says why that cannot be done, or why it may not run.
    fn of(row: &Due) -> Result<Self, String> {
        let resume = format!("edge.resume_schedule('{}')", row.template.name.replace('\'', "''"));
        match row.rights {
            Rights::Usual => {}
            Rights::NoRole => return Err("its owner was dropped; edge.unschedule drops it as well".to_owned()),
            Rights::None => {
                let owner = owner::name(row.template.owner);
                return Err(format!(
                    "its owner \"{owner}\" has no right to use schema edge any more; give it back with \
                     edge.grant_access, then {resume}"
                ));
            }
        }
        if let (true, Work::Call(call)) = (row.endpoint_is_gone, &row.template.work) {
            let endpoint = call.endpoint.as_deref().unwrap_or_default();
            return Err(format!(
                "its endpoint \"{endpoint}\" is gone; make it anew with edge.create_endpoint, then {resume}"
            ));
        }
        let anew = |what: &dyn std::fmt::Display| format!("{what}; say the schedule anew");
        let unknown = |what: &str, word: &str| anew(&format!("it has no {what} \"{word}\""));
        Ok(Self {
            schedule: Schedule::parse(&row.schedule).map_err(|error| anew(&error))?,
            zone: PgZone::find(&row.timezone)
                .ok_or_else(|| anew(&format!("the server knows no time zone \"{}\"", row.timezone)))?,
            dst: Dst::parse(&row.dst).map_err(|error| anew(&error))?,
            overlap: Overlap::parse(&row.overlap).ok_or_else(|| unknown("overlap", &row.overlap))?,
            catch_up: CatchUp::parse(&row.catch_up).ok_or_else(|| unknown("catchup", &row.catch_up))?,
        })
    }

    fn course<'a>(&'a self, row: &Due) -> Course<'a> {
        let bounds = Bounds { starts_at: row.starts_at, ends_at: row.ends_at };
        let spread = row.jitter.map(|most| Spread { most, seed: row.template.schedule });
        let anchor = planning::anchor(bounds);
        Course { timing: Timing { schedule: &self.schedule, zone: &self.zone, dst: self.dst, anchor }, bounds, spread }
    }
}

impl Planned {
    /// Decides how each run begins.
    fn decide(&mut self, mut plan: Plan, read: &Read, open_runs: &[OpenRun]) {
        let mut open = self.count(open_runs);
        let in_line = plan.is_a_line(read.catch_up, open);
        let last = plan.runs.last().map(|run| run.slot);
        for run in &plan.runs {
            let beginning = if read.overlap == Overlap::Cancel && Some(run.slot) != last {
                skip(OVERTAKEN)
            } else {
                let decision = if in_line { read.overlap.decide_in_line(open) } else { read.overlap.decide(open) };
                self.begin(decision, &mut open, open_runs)
            };
            let origin = match run.timeliness {
                Timeliness::Due => Origin::Due,
                Timeliness::Missed => Origin::Missed,
            };
            self.runs.push((run.slot, origin, beginning));
        }
        let ran = self.runs.iter().find(|(.., beginning)| !matches!(beginning, Beginning::Skipped { .. }));
        plan.stand_in(ran.map(|(slot, ..)| *slot));
        for skipped in &plan.skipped {
            let (Count::Exactly(slots) | Count::AtLeast(slots)) = skipped.count;
            let slots = i64::try_from(slots).unwrap_or(i64::MAX);
            let beginning = Beginning::Skipped { why: skipped.to_string(), slots };
            self.runs.push((skipped.first, Origin::Missed, beginning));
        }
        self.runs.sort_by_key(|(slot, ..)| *slot);
    }

    fn begin(&mut self, decision: Decision, open: &mut Open, open_runs: &[OpenRun]) -> Beginning {
        match decision {
            Decision::Skip(why) => return skip(&why.to_string()),
            Decision::Wait => {
                open.waiting += 1;
                return Beginning::Waiting;
            }
            Decision::CancelThenRun => self.to_stop = open_runs.to_vec(),
            Decision::Run => {}
        }
        if !self.row.template.is_command()
            && let Err(error) = queued::may_queue(self.row.template.owner)
        {
            return Beginning::Refused(error.to_string());
        }
        open.running += 1;
        Beginning::AtOnce
    }

    /// The runs that have not ended. Commands are run one at a time, so all but one of them wait.
    fn count(&self, runs: &[OpenRun]) -> Open {
        if self.row.template.is_command() {
            let running = runs.len().min(1);
            return Open { running, waiting: runs.len() - running };
        }
        let running = runs.iter().filter(|run| run.call_id.is_some()).count();
        Open { running, waiting: runs.len() - running }
    }

    /// Its runs as they are written.
    pub fn new_runs(&self) -> impl Iterator<Item = NewRun<'_>> {
        self.runs.iter().map(|(slot, origin, beginning)| NewRun {
            template: &self.row.template,
            scheduled_for: of_moment(*slot),
            origin: *origin,
            beginning: beginning.clone(),
        })
    }

    /// How it goes on.
    pub fn progress(&self) -> Progress {
        let refused = self.runs.iter().any(|(.., beginning)| matches!(beginning, Beginning::Refused(_)));
        Progress {
            schedule: self.row.template.schedule,
            next_run_at: self.next.map(|next| next.slot),
            due_at: self.next.map(|next| next.due),
            passed: self.passed,
            last_state: refused.then_some("failed"),
        }
    }

    /// How a run ends that a later one cancels before it has begun.
    pub fn stop_reason(&self) -> CallEnd {
        CallEnd { state: "cancelled", error: Some(OVERTAKEN.to_owned()) }
    }
}

impl Template {
    /// Whether it runs a command, which waits for a process of its own.
    pub(in crate::worker) fn is_command(&self) -> bool {
        matches!(self.work, Work::Command)
    }
}

impl NewRun<'_> {
    /// Whether it has not ended when it is written.
    pub(in crate::worker) fn is_open(&self) -> bool {
        matches!(self.beginning, Beginning::AtOnce | Beginning::Waiting)
    }
}

fn skip(why: &str) -> Beginning {
    Beginning::Skipped { why: why.to_owned(), slots: 1 }
}
