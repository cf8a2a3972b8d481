//! The dispatcher's side of commands: which runs are due, whose processes live, and which of them are to end.
//!
//! Runs on the main thread of a dispatcher. What is read and written is one short transaction of its own, and only when
//! there is a reason for one.

mod command;
mod ends;
mod execute;
pub(in crate::worker) mod living;
mod parsed;
mod process;
mod starts;

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime};

use crate::domain::schedule::command::{Start, limit_of};
use crate::error::Error;
use crate::store::schedules::candidates::{self, Candidate, Whose};
use crate::store::schedules::commands::{self, Open};
use crate::store::schedules::runs::Slot;
use crate::worker::commands::command::Order;
use crate::worker::commands::ends::never_begins;
use crate::worker::commands::process::Process;
use crate::worker::commands::starts::Starts;
use crate::worker::house;
use crate::worker::identity::Login;
use crate::worker::latch::my_database;
use crate::worker::report;
use crate::worker::turn::Dispatcher;

/// How soon it is tried again to start a process, or to read the tables.
const PAUSE: Duration = Duration::from_secs(5);
const PAUSE_FOR_LOCK: Duration = Duration::from_secs(1);
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);

/// So many runs that may begin are read at once: a process that ends is to be followed by the next one without a search.
const READ_AHEAD: usize = 64;

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
            // What was read may have been asked for after a pause that is not known here yet.
            Ok(Some(())) if self.has_been_told() => {
                self.commands.ready.clear();
                self.commands.look_at(now);
            }
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

    /// Reads which runs may begin, if there is room for any and none is known.
    fn find_due(&mut self, most: usize, left: &[i64], now: SystemTime) -> Result<(), Error> {
        if self.running.len() >= most || !self.ready.is_empty() {
            return Ok(());
        }
        let in_hand: Vec<i64> = self.running.iter().map(|process| process.run).collect();
        // Those whose process has just ended before it could begin take nobody's place.
        let found = candidates::candidates(in_hand, now, READ_AHEAD + self.started.len())?;
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
