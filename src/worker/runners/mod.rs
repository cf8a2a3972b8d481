//! The dispatcher's side of runners: which roles need one, and how many there are.
//!
//! Runs on the main thread of a dispatcher.

mod collector;
mod errand;
mod runner;
mod storing;

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use pgrx::bgworkers::{BackgroundWorkerBuilder, BackgroundWorkerStatus, BgWorkerStartTime, DynamicBackgroundWorker};
use pgrx::prelude::*;

use crate::error::Error;
use crate::store::callbacks::{self, COLLECTOR, Owner};
use crate::worker::latch::{my_database, my_pid, set_latch_of};
use crate::worker::library;
use crate::worker::report;

/// The runners that this dispatcher has started.
pub struct Runners {
    limit: usize,
    /// How long a callback may take.
    timeout: Duration,
    running: Vec<Running>,
    /// Roles with callbacks to be run, as last read.
    wanted: Vec<Owner>,
    /// A runner ended: there may be more for its role, and there is room for another.
    look_again: bool,
    /// What runners were last started for: the role's first callback and message, and when to start one for it again.
    started: HashMap<pg_sys::Oid, ([Option<i64>; 2], SystemTime)>,
    /// A runner could not be started; not before this is it tried again.
    next_try: Option<SystemTime>,
}

/// A runner that was started.
struct Running {
    role: pg_sys::Oid,
    worker: DynamicBackgroundWorker,
    /// By then it has ended by itself, unless its callback evades the timeout.
    overdue_at: SystemTime,
}

/// How soon a runner is tried again for which there was no background worker slot, or which ended without having
/// run the callback it was started for, as one whose role may not connect does.
const PAUSE: Duration = Duration::from_secs(5);

impl Runners {
    /// No runners yet, and at most `limit` of them.
    pub fn new(limit: usize, timeout: Duration) -> Self {
        Self {
            limit,
            timeout,
            running: Vec::new(),
            wanted: Vec::new(),
            look_again: false,
            started: HashMap::new(),
            next_try: None,
        }
    }

    /// At most so many from now on.
    pub fn set_limits(&mut self, limit: usize, timeout: Duration) {
        self.limit = limit;
        self.timeout = timeout;
    }

    /// Reads which roles have callbacks waiting. Inside a transaction.
    pub fn find_work(&mut self) -> Result<(), Error> {
        callbacks::forget_orphans()?;
        self.wanted = callbacks::owners()?;
        let wanted = &self.wanted;
        self.started.retain(|role, _| wanted.iter().any(|owner| owner.role == *role));
        Ok(())
    }

    /// There is something for the collector to do.
    pub fn want_collector(&mut self) {
        if !self.wanted.iter().any(Owner::is_collector) {
            self.wanted.push(Owner { role: COLLECTOR, can_login: true, first: [None; 2] });
        }
    }

    /// Forgets runners that have ended and starts those that are wanted. Outside a transaction.
    pub fn look_after(&mut self, now: SystemTime) {
        let before = self.running.len();
        self.running.retain(|running| !matches!(running.worker.pid(), Err(BackgroundWorkerStatus::Stopped)));
        for overdue in self.running.extract_if(.., |running| running.overdue_at <= now) {
            let _stopping = overdue.worker.terminate();
        }
        self.look_again |= self.running.len() < before;
        for owner in std::mem::take(&mut self.wanted) {
            if let Some(running) = self.running.iter().find(|running| running.role == owner.role) {
                if owner.is_collector() {
                    running.wake();
                }
                continue;
            }
            if !owner.is_collector() && self.runners() >= self.limit {
                continue;
            }
            if let Some((first, again_at)) = self.started.get(&owner.role)
                && *first == owner.first
                && *again_at > now
            {
                self.next_try = Some(self.next_try.map_or(*again_at, |next| next.min(*again_at)));
                continue;
            }
            match start(owner) {
                Some(worker) => {
                    let shift = if owner.is_collector() { collector::SHIFT } else { runner::SHIFT };
                    let overdue_at = now + shift + self.timeout + PAUSE;
                    self.running.push(Running { role: owner.role, worker, overdue_at });
                    self.started.insert(owner.role, (owner.first, now + PAUSE));
                }
                None => {
                    report::warn("cannot start a runner: raise max_worker_processes");
                    self.next_try = Some(now + PAUSE);
                }
            }
        }
    }

    /// How many there are that run what roles wrote.
    fn runners(&self) -> usize {
        self.running.iter().filter(|running| running.role != COLLECTOR).count()
    }

    /// Whether the table has to be read again: a runner has ended, or one is to be tried again.
    pub fn take_look_again(&mut self, now: SystemTime) -> bool {
        let retry = self.next_try.take_if(|at| *at <= now).is_some();
        std::mem::take(&mut self.look_again) || retry
    }

    /// Whether a runner has ended that nobody has asked about yet.
    pub fn looks_again(&self) -> bool {
        self.look_again
    }

    /// When a runner is tried again that could not be started, or ended that runs for too long.
    pub fn next_try(&self, now: SystemTime) -> Option<SystemTime> {
        let overdue = self.running.iter().map(|running| running.overdue_at).min();
        [self.next_try, overdue].into_iter().flatten().min().map(|at| at.max(now))
    }

    /// Ends all runners. What they had not finished is run again later.
    pub fn stop(&mut self) {
        for running in self.running.drain(..) {
            let _stopping = running.worker.terminate();
        }
    }
}

impl Running {
    /// Has it look for more, if it is there already; one that is only being started looks by itself.
    fn wake(&self) {
        if let Ok(pid) = self.worker.pid() {
            set_latch_of(pid);
        }
    }
}

fn start(owner: Owner) -> Option<DynamicBackgroundWorker> {
    let name = if owner.is_collector() { "pg_edge collector" } else { "pg_edge runner" };
    BackgroundWorkerBuilder::new(name)
        .set_type(name)
        .set_library(&library::path())
        .set_function("pg_edge_runner_main")
        .enable_spi_access()
        .set_start_time(BgWorkerStartTime::RecoveryFinished)
        .set_restart_time(None::<Duration>)
        .set_argument(Some(pg_sys::Datum::from(owner.role)))
        .set_extra(&format!("{} {}", my_database().to_u32(), u8::from(owner.can_login)))
        .set_notify_pid(my_pid())
        .load_dynamic()
        .ok()
}
