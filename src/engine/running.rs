//! Which attempts are in flight. Lives on the engine thread; its lock is never contended and only there because
//! tokio wants tasks that could move between threads.
//!
//! Whoever takes an attempt out of this map reports it, so each attempt is reported exactly once even where it ends
//! in the moment it is cancelled.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::domain::attempt::{Attempt, Report, Timings};
use crate::domain::call::CallId;
use crate::domain::outcome::{Failure, FailureClass, Outcome};

use super::attempt;
use super::client::Wire;
use super::outbox::Outbox;

/// The attempts in flight.
pub(super) struct Running {
    tasks: Mutex<HashMap<CallId, Task>>,
    outbox: Arc<Outbox>,
    emptied: Notify,
}

/// What is needed to end an attempt from outside.
struct Task {
    number: u32,
    started_at: SystemTime,
    began: Instant,
    handle: JoinHandle<()>,
}

// === impl Running ===

impl Running {
    pub(super) fn new(outbox: Arc<Outbox>) -> Self {
        Self { tasks: Mutex::default(), outbox, emptied: Notify::new() }
    }

    /// Runs an attempt as a task of its own.
    pub(super) fn spawn(self: &Arc<Self>, wire: Wire, attempt: Box<Attempt>) {
        let (call, number) = (attempt.call, attempt.number);
        let (started_at, began) = (SystemTime::now(), Instant::now());
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        match tasks.entry(call) {
            // The task cannot have ended before it is noted: the one thread of the runtime is busy right here.
            Entry::Vacant(free) => {
                let handle = tokio::spawn(attempt::run(wire, attempt, Arc::clone(self)));
                free.insert(Task { number, started_at, began, handle });
            }
            Entry::Occupied(_) => {
                let failure = Failure::new(FailureClass::Internal, "pg_edge sent this call twice at the same time");
                self.outbox.push(ended_by_us(call, number, started_at, began, failure));
            }
        }
    }

    /// Breaks an attempt off and reports it as cancelled. Dropping its future closes its connection.
    pub(super) fn cancel(&self, call: CallId) {
        let Some(task) = self.remove(call) else { return };
        task.handle.abort();
        let failure = Failure::new(FailureClass::Cancelled, "the call was cancelled while it was being sent");
        self.outbox.push(ended_by_us(call, task.number, task.started_at, task.began, failure));
    }

    /// Waits until nothing is in flight.
    pub(super) async fn idle(&self) {
        while !self.tasks.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            self.emptied.notified().await;
        }
    }

    /// Gives up everything that is in flight, without reports.
    pub(super) fn abandon(&self) -> Vec<CallId> {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks.values() {
            task.handle.abort();
        }
        tasks.into_keys().collect()
    }

    /// Reports an attempt that ended by itself, unless it was ended from outside in the same moment.
    pub(super) fn finish(&self, report: Report) {
        if self.remove(report.call).is_some() {
            self.outbox.push(report);
        }
    }

    fn remove(&self, call: CallId) -> Option<Task> {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let task = tasks.remove(&call);
        if tasks.is_empty() {
            self.emptied.notify_one();
        }
        task
    }
}

/// The report of an attempt that ended from outside, where its own future can say nothing any more.
fn ended_by_us(call: CallId, number: u32, started_at: SystemTime, began: Instant, failure: Failure) -> Report {
    let timings = Timings { total: began.elapsed(), ..Timings::default() };
    Report { call, number, outcome: Outcome::Failure(failure), started_at, timings, remote: None }
}
