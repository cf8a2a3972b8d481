//! The dispatcher's side of commands: which runs are due, whose processes live, and which of them are to end.
//!
//! Runs on the main thread of a dispatcher. What is read and written is one short transaction of its own, and only when
//! there is a reason for one.

mod command;
mod execute;
pub(in crate::worker) mod living;
mod parsed;
mod process;
mod starts;

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime};

use crate::domain::schedule::command::{AfterProcess, MOST_STARTS, Reached, Start, Wish, after_process, limit_of};
use crate::error::Error;
use crate::store::schedules::commands::{self, Candidate, Makes, Open, Stage, Whose};
use crate::store::schedules::due;
use crate::store::schedules::runs::{self, End, Slot};
use crate::worker::commands::command::Order;
use crate::worker::commands::process::Process;
use crate::worker::commands::starts::Starts;
use crate::worker::house;
use crate::worker::identity::Login;
use crate::worker::latch::my_database;
use crate::worker::report;
use crate::worker::schedules::NO_RIGHTS;
use crate::worker::turn::Dispatcher;

/// How soon it is tried again to start a process, or to read the tables.
const PAUSE: Duration = Duration::from_secs(5);
const PAUSE_FOR_LOCK: Duration = Duration::from_secs(1);
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);

/// So many runs that may begin are read at once: a process that ends is to be followed by the next one without a search.
const READ_AHEAD: usize = 64;

/// Why a run ends that was to be tried again.
const NOT_AGAIN: &str = "it was to be tried again, but its schedule makes calls now";

/// The commands of this database that are being run.
#[derive(Default)]
pub struct Commands {
    running: Vec<Process>,
    started: Starts,
    /// Runs that may begin as soon as there is room. What has become of them since is found out by their process.
    ready: VecDeque<Candidate>,
    /// Runs have ended without their processes, so that others of their schedules may begin.
    freed: bool,
    /// When to look again, if nobody wakes us.
    next_try: Option<SystemTime>,
}

/// Whether processes have ended.
#[derive(PartialEq, Eq)]
enum Ended {
    None,
    Some,
}

impl Dispatcher {
    /// Looks after the commands: forgets those that are over, ends those that are to end, and starts those that are due.
    pub(in crate::worker) fn look_after_commands(&mut self, now: SystemTime) {
        if self.stopping {
            return;
        }
        let ended = self.commands.forget_ended();
        if std::mem::take(&mut self.wants.commands) || self.commands.next_try.take_if(|at| *at <= now).is_some() {
            self.commands.ready.clear();
            self.tend_commands(now);
        } else if ended == Ended::Some {
            self.tend_commands(now);
        }
        // A call of the same schedule may have been waiting for a command of before.
        let freed = std::mem::take(&mut self.commands.freed) || ended == Ended::Some;
        if freed && !self.schedules.waiting.is_empty() {
            self.schedules.want();
        }
        self.commands.running.iter_mut().for_each(|process| process.push(now));
    }

    fn tend_commands(&mut self, now: SystemTime) {
        let most = if self.paused { 0 } else { self.settings.max_sql_jobs };
        let limit = self.settings.sql_job_timeout;
        let commands = AssertUnwindSafe(&mut self.commands);
        let tended = house::in_place(|| {
            let AssertUnwindSafe(commands) = commands;
            let left = commands.clear_up(limit, now)?;
            commands.find_due(most, &left, now)
        });
        match tended {
            Ok(Some(())) => self.commands.start_due(most, limit, now),
            Ok(None) => self.commands.look_at(now + PAUSE_AFTER_ERROR),
            Err(aborted) => {
                report::log(&format!("dispatcher, looking after commands: {aborted}"));
                self.commands.ready.clear();
                self.commands.look_at(now + PAUSE);
            }
        }
    }
}

impl Commands {
    /// When something is to be done, if nobody wakes us before.
    pub fn next_try(&self, now: SystemTime) -> Option<SystemTime> {
        let pushes = self.running.iter().filter_map(|process| process.next_push(now)).min();
        [self.next_try, pushes].into_iter().flatten().min().map(|at| at.max(now))
    }

    /// Ends them all: the database is wanted empty, or their schedules are gone.
    pub fn stop(&mut self) {
        self.running.drain(..).for_each(Process::stop);
    }

    fn look_at(&mut self, at: SystemTime) {
        self.next_try = Some(self.next_try.map_or(at, |next| next.min(at)));
    }

    /// Forgets the processes that are gone.
    fn forget_ended(&mut self) -> Ended {
        let before = self.running.len();
        self.running.retain(Process::lives);
        if self.running.len() < before { Ended::Some } else { Ended::None }
    }

    /// Ends the runs whose processes are gone without having done so, and those that nobody wants begun. Inside a
    /// transaction, as all that follow: what changes in memory is true without it. Gives those that it has to leave for later.
    fn clear_up(&mut self, limit: Option<Duration>, now: SystemTime) -> Result<Vec<i64>, Error> {
        let mut left = Vec::new();
        for open in commands::open()? {
            if let Some(process) = self.find(&open, limit, now) {
                if open.cancel_asked {
                    process.is_to_end(now);
                }
                continue;
            }
            match (open.stage, open.cancel_asked, open.retry_at, open.makes) {
                (Stage::Waiting, false, Some(at), Makes::Commands) if at > now => self.look_at(at),
                (Stage::Waiting, false, _, Makes::Commands) => {}
                _ if self.can_change(open.slot, now)? => self.close(&open, now)?,
                _ => left.push(open.run),
            }
        }
        Ok(left)
    }

    /// Whether nobody else is just changing the schedule of a run. One lock that is not to be had costs no other run anything.
    fn can_change(&mut self, slot: Slot, now: SystemTime) -> Result<bool, Error> {
        let reserved = commands::reserve(slot.schedule)?;
        if !reserved {
            self.look_at(now + PAUSE_FOR_LOCK);
        }
        Ok(reserved)
    }

    /// The living process of a run. One that an earlier dispatcher has started is watched from now on.
    fn find(&mut self, open: &Open, limit: Option<Duration>, now: SystemTime) -> Option<&mut Process> {
        if self.running.iter().all(|process| process.run != open.run)
            && let Some(process) = Process::of_a_predecessor(open.run, limit_of(open.timeout_ms, limit), now)
        {
            self.running.push(process);
            self.started.adopt(open.run, open.tries.made, now);
        }
        self.running.iter_mut().find(|process| process.run == open.run)
    }

    /// Ends a run that has no process, and is not to get one for the attempt that it has begun.
    fn close(&mut self, open: &Open, now: SystemTime) -> Result<(), Error> {
        self.freed = true;
        if (open.stage, open.cancel_asked) == (Stage::Waiting, false) {
            return end(open.slot, "cancelled", NOT_AGAIN);
        }
        let reached = match open.stage {
            Stage::Waiting => Reached::Waiting,
            Stage::Running if self.started.know(open.run) => Reached::RunningHere,
            Stage::Running => Reached::RunningBefore,
        };
        let wish = if open.cancel_asked { Wish::End } else { Wish::Run };
        match after_process(reached, wish, open.tries, now, fastrand::f64()) {
            AfterProcess::Cancelled(why) => {
                end(open.slot, "cancelled", commands::cancel_asked(open.slot)?.unwrap_or(why))
            }
            AfterProcess::Failed(why) => end(open.slot, "failed", why),
            AfterProcess::Again(..) if open.makes == Makes::Calls => end(open.slot, "cancelled", NOT_AGAIN),
            AfterProcess::Again(at, why) => {
                self.look_at(at);
                commands::try_again(open.slot, at, None, why)
            }
        }
    }

    /// Reads which runs may begin, if there is room for any and none is known.
    fn find_due(&mut self, most: usize, left: &[i64], now: SystemTime) -> Result<(), Error> {
        if self.running.len() >= most || !self.ready.is_empty() {
            return Ok(());
        }
        let in_hand: Vec<i64> = self.running.iter().map(|process| process.run).collect();
        // Those whose process has just ended before it could begin take nobody's place.
        let found = commands::candidates(in_hand, now, READ_AHEAD + self.started.len())?;
        let running = &self.running;
        self.started.keep(|run| {
            let is_running = running.iter().any(|process| process.run == run);
            is_running || left.contains(&run) || found.iter().any(|candidate| candidate.run == run)
        });
        for candidate in found {
            if self.is_to_begin(&candidate, now)? {
                self.ready.push_back(candidate);
            }
        }
        Ok(())
    }

    /// Whether a run can begin; ends it if it never will.
    fn is_to_begin(&mut self, candidate: &Candidate, now: SystemTime) -> Result<bool, Error> {
        if let Whose::Role { .. } = candidate.whose {
            match self.started.next(candidate, now) {
                Start::Now => return Ok(true),
                Start::At(at) => {
                    self.look_at(at);
                    return Ok(false);
                }
                Start::Never => {}
            }
        }
        if self.can_change(candidate.slot, now)? {
            never_begins(candidate)?;
            // It has taken the place of another one.
            self.look_at(now);
        }
        Ok(false)
    }

    /// Starts processes for the runs that may begin, as many as there is room for.
    fn start_due(&mut self, most: usize, limit: Option<Duration>, now: SystemTime) {
        while self.running.len() < most
            && let Some(candidate) = self.ready.pop_front()
        {
            let Whose::Role { oid, can_login, .. } = candidate.whose else { continue };
            let (slot, run, login) = (candidate.slot, candidate.run, Login::from(can_login));
            let order = Order { database: my_database(), login, slot, run };
            let Some(process) = Process::start(&order, oid, limit_of(candidate.timeout_ms, limit), now) else {
                report::warn("cannot start the command of a schedule: raise max_worker_processes");
                return self.look_at(now + PAUSE);
            };
            self.running.push(process);
            self.started.note(&candidate, now);
        }
    }
}

fn end(slot: Slot, state: &'static str, why: &str) -> Result<(), Error> {
    runs::finish(slot, &End { state, rows: None, sqlstate: None, error: Some(why.to_owned()) })?;
    Ok(())
}

/// Ends a run of which no process can be made.
fn never_begins(candidate: &Candidate) -> Result<(), Error> {
    let slot = candidate.slot;
    match &candidate.whose {
        Whose::NoSchedule => end(slot, "cancelled", "its schedule was dropped"),
        Whose::NoRights => end(slot, "failed", NO_RIGHTS),
        Whose::NoRole => {
            end(slot, "failed", "the role that owns its schedule no longer exists")?;
            due::disable(&[(slot.schedule, "stopped because the role that owns it no longer exists".to_owned())])
        }
        Whose::Role { name, .. } => {
            let why = format!(
                "its process ended before it could begin, {MOST_STARTS} times; the server log says why, such as that \
                 role \"{name}\" may not connect to this database"
            );
            end(slot, "failed", &why)
        }
    }
}
