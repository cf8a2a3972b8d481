//! The process of a command, as the dispatcher handles it: started, watched, pushed.
//!
//! Runs on the main thread of a dispatcher.

use std::time::{Duration, SystemTime};

use pgrx::bgworkers::{BackgroundWorkerBuilder, BackgroundWorkerStatus, BgWorkerStartTime, DynamicBackgroundWorker};
use pgrx::prelude::*;

use crate::domain::schedule::command::{Push, Pushing};
use crate::worker::commands::command::Order;
use crate::worker::commands::living;
use crate::worker::latch::my_pid;
use crate::worker::library;

/// A process that runs, or is about to run, the command of a run.
pub struct Process {
    pub run: i64,
    /// `None` where an earlier dispatcher has started it.
    worker: Option<DynamicBackgroundWorker>,
    pushing: Pushing,
}

impl Process {
    /// Starts one as a role; `None` when Postgres has no more processes to give. After `limit` the command ends by itself.
    pub fn start(order: &Order, role: pg_sys::Oid, limit: Option<Duration>, now: SystemTime) -> Option<Self> {
        let worker = BackgroundWorkerBuilder::new("pg_edge command")
            .set_type("pg_edge command")
            .set_library(&library::path())
            .set_function("pg_edge_command_main")
            .enable_spi_access()
            .set_start_time(BgWorkerStartTime::RecoveryFinished)
            .set_restart_time(None::<Duration>)
            .set_argument(Some(pg_sys::Datum::from(role)))
            .set_extra(&order.to_text())
            .set_notify_pid(my_pid())
            .load_dynamic()
            .ok()?;
        Some(Self { run: order.run, worker: Some(worker), pushing: pushing(limit, now) })
    }

    /// One that an earlier dispatcher has started; `None` where there is none. How long it has run is not known, so it is
    /// given its whole limit once more.
    pub fn of_a_predecessor(run: i64, limit: Option<Duration>, now: SystemTime) -> Option<Self> {
        living::process_of(run)?;
        Some(Self { run, worker: None, pushing: pushing(limit, now) })
    }

    /// Whether it has not ended.
    pub fn lives(&self) -> bool {
        match &self.worker {
            Some(worker) => !matches!(worker.pid(), Err(BackgroundWorkerStatus::Stopped)),
            None => living::process_of(self.run).is_some(),
        }
    }

    /// Somebody wants its command to end.
    pub fn is_to_end(&mut self, now: SystemTime) {
        self.pushing.asked_at.get_or_insert(now);
    }

    /// When it is to be pushed next.
    pub fn next_push(&self, now: SystemTime) -> Option<SystemTime> {
        self.pushing.next(now)
    }

    /// Pushes it, if it is time to and it runs its command. Before that, it finds in the table that it is not to begin; after
    /// that, it only writes down what became of it.
    pub fn push(&mut self, now: SystemTime) {
        let signal = match self.pushing.push(now) {
            Push::Nothing => return,
            Push::Cancel => libc::SIGINT,
            Push::Terminate => libc::SIGTERM,
        };
        self.pushing.pushed_at = Some(now);
        if living::stage_of(self.run) == Some(living::Stage::Command) {
            self.signal(signal);
        }
    }

    /// Ends it, whatever it does.
    pub fn stop(self) {
        self.signal(libc::SIGTERM);
        if let Some(worker) = self.worker {
            // One that is only about to begin has no pid yet.
            let _stopping = worker.terminate();
        }
    }

    #[allow(unsafe_code, reason = "a signal to another process")]
    fn signal(&self, signal: libc::c_int) {
        if let Some(pid) = living::process_of(self.run) {
            // SAFETY: a system call. The process was alive a moment ago and its pid is not given away at once, as with
            // pg_cancel_backend; it handles both signals as any session does.
            unsafe { libc::kill(pid, signal) };
        }
    }
}

fn pushing(limit: Option<Duration>, now: SystemTime) -> Pushing {
    let limit_at = limit.and_then(|limit| now.checked_add(limit));
    Pushing { limit_at, ..Pushing::default() }
}
