//! What becomes of one schedule that is due: which runs it gets, how each begins, and when it is due again.
//!
//! Runs on the main thread of a dispatcher: the time zones are Postgres' own. The decisions are the domain's.

use crate::domain::moment::Moment;
use crate::domain::room::Room;
use crate::domain::schedule::catch_up::{CatchUp, Rules};
use crate::domain::schedule::decision::{Decided, Others, Turn};
use crate::domain::schedule::overlap::Overlap;
use crate::domain::schedule::{Bounds, Course, Dst, Schedule, Spread};
use crate::store::owner;
use crate::store::schedules::due::{Due, Progress, Rights};
use crate::store::schedules::open_runs::OpenRun;
use crate::store::schedules::runs::{NewRun, Work};
use crate::store::time::of_moment;
use crate::store::zone::PgZone;
use crate::worker::schedules::Clocks;

/// Why a schedule is taken out of service of whose row nothing can be made.
pub(in crate::worker) const UNREADABLE: &str =
    "its row cannot be understood; say it anew with edge.schedule, edge.schedule_invoke or edge.schedule_http";

/// What a verdict rests on besides the row.
pub(in crate::worker) struct Standing {
    pub clocks: Clocks,
    /// The most runs that are made up for.
    pub most: usize,
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
    pub decided: Decided,
    /// Its runs that had not ended.
    open: Vec<OpenRun>,
}

/// Decides about a schedule. So many of the slots that it skips are `listed` one by one.
pub(in crate::worker) fn verdict(row: Due, standing: Standing, listed: usize, room: &mut Room) -> Verdict {
    let read = match Read::of(&row) {
        Ok(read) => read,
        Err(note) => return Verdict::Disable(note),
    };
    let now = if read.schedule.follows_real_time() { standing.clocks.steady } else { standing.clocks.wall };
    if row.due_at > now {
        return Verdict::Hold(row.due_at);
    }
    let action = row.template.work.action();
    let calling = standing.open.iter().filter(|run| run.call_id.is_some()).count();
    let turn = Turn {
        slots: &read.course(&row),
        kind: read.schedule.kind(),
        action,
        overlap: read.overlap,
        rules: Rules { catch_up: read.catch_up, window: row.window, most: standing.most, listed },
        slot: row.slot,
        passed: row.passed,
        now,
        open: action.open(standing.open.len(), calling),
    };
    let decided = turn.decide(room);
    Verdict::Planned(Box::new(Planned { row, decided, open: standing.open }))
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
        Course::new(&self.schedule, &self.zone, self.dst, bounds, spread)
    }
}

impl Planned {
    /// Runs that are to end.
    pub fn to_stop(&self) -> &[OpenRun] {
        match self.decided.others {
            Others::GoOn => &[],
            Others::End => &self.open,
        }
    }

    /// Its runs as they are written.
    pub fn new_runs(&self) -> impl Iterator<Item = NewRun<'_>> {
        self.decided.slots.iter().map(|fate| NewRun {
            template: &self.row.template,
            scheduled_for: of_moment(fate.slot),
            origin: fate.origin,
            beginning: fate.beginning.clone(),
        })
    }

    /// How it goes on.
    pub fn progress(&self) -> Progress {
        let decided = &self.decided;
        Progress {
            schedule: self.row.template.schedule,
            next_run_at: decided.next.map(|next| next.slot),
            due_at: decided.next.map(|next| next.due),
            passed: decided.passed,
            last_state: decided.last_state(),
        }
    }
}
