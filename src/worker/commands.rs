//! The dispatcher's side of commands: which runs are due, whose processes live, and which of them are to end.
//!
//! Runs on the main thread of a dispatcher. What is read and written is one short transaction of its own, and only when
//! there is a reason for one.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime};

use super::command::{Order, limit_of};
use super::command_process::Process;
use super::identity::Login;
use super::latch::my_database;
use super::turn::Dispatcher;
use super::{house, report};
use crate::domain::command::{BETWEEN_STARTS, MOST_STARTS, Verdict, after_failure};
use crate::error::Error;
use crate::store::commands::{self, Candidate, Open, Stage, Whose};
use crate::store::due;
use crate::store::runs::{self, End, Slot};

/// How soon it is tried again to start a process, or to read the tables.
const PAUSE: Duration = Duration::from_secs(5);
const PAUSE_FOR_LOCK: Duration = Duration::from_secs(1);
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);

/// The commands of this database that are being run.
#[derive(Default)]
pub struct Commands {
    running: Vec<Process>,
    /// Runs for which processes were started.
    started: HashMap<i64, Started>,
    /// When to look again, if nobody wakes us.
    next_try: Option<SystemTime>,
}

/// Processes that were started for one attempt of a run.
#[derive(Clone, Copy)]
struct Started {
    /// The attempts that had been made before.
    made: u32,
    times: u32,
    /// If it has ended without having begun the attempt, when to start another one.
    again_at: SystemTime,
}

impl Dispatcher {
    /// Looks after the commands: forgets those that are over, ends those that are to end, and starts those that are due.
    pub(super) fn look_after_commands(&mut self, now: SystemTime) {
        if self.stopping {
            return;
        }
        self.wants.commands |= self.commands.take_look_again(now);
        if self.wants.commands {
            self.wants.commands = false;
            self.tend_commands(now);
        }
        self.commands.running.iter_mut().for_each(|process| process.push(now));
    }

    fn tend_commands(&mut self, now: SystemTime) {
        let room = if self.paused { 0 } else { self.settings.max_sql_jobs };
        let limit = self.settings.sql_job_timeout;
        let commands = AssertUnwindSafe(&mut self.commands);
        let due = house::in_place(|| {
            let AssertUnwindSafe(commands) = commands;
            commands.clear_up(limit, now)?;
            commands.find_due(room, now)
        });
        match due {
            Ok(Some(due)) => self.commands.start_all(due, limit, now),
            Ok(None) => self.commands.look_at(now + PAUSE_AFTER_ERROR),
            Err(aborted) => {
                report::log(&format!("dispatcher, looking after commands: {aborted}"));
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

    /// Forgets processes that are gone; tells whether the tables are to be looked at.
    fn take_look_again(&mut self, now: SystemTime) -> bool {
        let before = self.running.len();
        self.running.retain(Process::lives);
        self.next_try.take_if(|at| *at <= now).is_some() || self.running.len() < before
    }

    /// Ends the runs whose processes are gone without having done so, and those that nobody wants begun. Inside a
    /// transaction, as all that follow: what changes in memory is true without it.
    fn clear_up(&mut self, limit: Option<Duration>, now: SystemTime) -> Result<(), Error> {
        for open in commands::open()? {
            if let Some(process) = self.find(&open, limit, now) {
                if open.cancel_asked {
                    process.is_to_end(now);
                }
                continue;
            }
            if !self.can_change(open.slot, now)? {
                continue;
            }
            match (open.stage, open.cancel_asked, open.retry_at) {
                (Stage::Waiting, true, _) => end(open.slot, "cancelled", "it was cancelled before it began")?,
                (Stage::Running, true, _) => end(open.slot, "cancelled", "it was cancelled, and its process ended")?,
                (Stage::Running, false, _) => self.after_interruption(&open, now)?,
                (Stage::Waiting, false, Some(at)) if at > now => self.look_at(at),
                (Stage::Waiting, false, _) => {}
            }
        }
        Ok(())
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
        if self.running.iter().all(|process| process.run != open.run) {
            self.running.extend(Process::of_a_predecessor(open.run, limit_of(open.timeout_ms, limit), now));
        }
        self.running.iter_mut().find(|process| process.run == open.run)
    }

    fn after_interruption(&mut self, open: &Open, now: SystemTime) -> Result<(), Error> {
        let seen_here = self.started.contains_key(&open.run);
        let why = if seen_here {
            "its process ended before it did"
        } else {
            "interrupted: the server restarted, or the database was wanted without sessions"
        };
        match after_failure(open.tries.made, open.tries.most, now, fastrand::f64()) {
            Verdict::Ended => end(open.slot, "failed", why),
            Verdict::Again(at) => {
                self.look_at(at);
                commands::try_again(open.slot, at, None, why)
            }
        }
    }

    /// The runs that may begin, as far as there is room.
    fn find_due(&mut self, room: usize, now: SystemTime) -> Result<Vec<Candidate>, Error> {
        let room = room.saturating_sub(self.running.len());
        if room == 0 {
            return Ok(Vec::new());
        }
        let in_hand: Vec<i64> = self.running.iter().map(|process| process.run).collect();
        // Those whose process has just ended before it could begin take nobody's place.
        let found = commands::candidates(in_hand, now, room + self.started.len())?;
        let running = &self.running;
        self.started.retain(|run, _| {
            let is_running = running.iter().any(|process| process.run == *run);
            is_running || found.iter().any(|candidate| candidate.run == *run)
        });
        let mut due = Vec::with_capacity(room);
        for candidate in found {
            if due.len() < room && self.is_to_begin(&candidate, now)? {
                due.push(candidate);
            }
        }
        Ok(due)
    }

    /// Whether a run can begin; ends it if it never will.
    fn is_to_begin(&mut self, candidate: &Candidate, now: SystemTime) -> Result<bool, Error> {
        let before = self.started_before(candidate);
        match (&candidate.whose, before) {
            (Whose::Role { .. }, None) => return Ok(true),
            (Whose::Role { .. }, Some(Started { again_at, .. })) if again_at > now => {
                self.look_at(again_at);
                return Ok(false);
            }
            (Whose::Role { .. }, Some(Started { times, .. })) if times < MOST_STARTS => return Ok(true),
            _ => {}
        }
        if self.can_change(candidate.slot, now)? {
            never_begins(candidate)?;
            // It has taken the place of another one.
            self.look_at(now);
        }
        Ok(false)
    }

    /// The processes that were started for this very attempt. They have ended before they could begin it.
    fn started_before(&self, candidate: &Candidate) -> Option<Started> {
        self.started.get(&candidate.run).copied().filter(|started| started.made == candidate.made)
    }

    fn start_all(&mut self, due: Vec<Candidate>, limit: Option<Duration>, now: SystemTime) {
        for candidate in due {
            let Whose::Role { oid, can_login, .. } = candidate.whose else { continue };
            let (slot, run, login) = (candidate.slot, candidate.run, Login::from(can_login));
            let order = Order { database: my_database(), login, slot, run };
            let Some(process) = Process::start(&order, oid, limit_of(candidate.timeout_ms, limit), now) else {
                report::warn("cannot start the command of a schedule: raise max_worker_processes");
                return self.look_at(now + PAUSE);
            };
            self.running.push(process);
            let times = self.started_before(&candidate).map_or(1, |started| started.times + 1);
            let again_at = now + BETWEEN_STARTS;
            self.started.insert(run, Started { made: candidate.made, times, again_at });
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
