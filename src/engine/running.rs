//! Which attempts are in flight. Lives on the engine thread; its locks are never contended and only there because
//! tokio wants tasks that could move between threads.
//!
//! Whoever takes an attempt out of this map reports it, so each attempt is reported exactly once even where it ends
//! in the moment it is cancelled.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use tokio::sync::Notify;

use crate::domain::attempt::{Attempt, Report, Timings};
use crate::domain::call::CallId;
use crate::domain::outcome::{Failure, FailureClass, Outcome};

use super::client::Wire;
use super::flow::{Flow, OF_A_STREAM, Room};
use super::lane::{Errand, Lane};
use super::outbox::Outbox;
use super::spout::Spout;

/// How many idle lanes are kept, at a kilobyte each. Enough for a burst that ends as a whole before the next one begins.
const IDLE_LANES: usize = 1_024;

/// The attempts in flight.
pub(super) struct Running {
    tasks: Mutex<HashMap<CallId, Task>>,
    idle: Mutex<Vec<Arc<Lane>>>,
    outbox: Arc<Outbox>,
    streams: Arc<Room>,
    emptied: Notify,
}

/// What is needed to end an attempt from outside.
struct Task {
    number: u32,
    started_at: SystemTime,
    began: Instant,
    lane: Arc<Lane>,
    /// Where its answer is to be streamed, how far it is.
    flow: Option<Arc<Flow>>,
}

// === impl Running ===

impl Running {
    pub(super) fn new(outbox: Arc<Outbox>) -> Self {
        Self {
            tasks: Mutex::default(),
            idle: Mutex::default(),
            outbox,
            streams: Room::of_all(),
            emptied: Notify::new(),
        }
    }

    /// Runs an attempt in a lane of its own.
    pub(super) fn start(self: &Arc<Self>, wire: Wire, attempt: Box<Attempt>) {
        let (call, number) = (attempt.call, attempt.number);
        let (started_at, began) = (SystemTime::now(), Instant::now());
        match self.tasks.lock().unwrap_or_else(PoisonError::into_inner).entry(call) {
            // The lane cannot have finished before it is noted: the one thread of the runtime is busy right here.
            Entry::Vacant(free) => {
                let lane = self.idle_lane().unwrap_or_else(|| Lane::open(self));
                let flow = attempt.stream.is_some().then(|| Flow::new(OF_A_STREAM, Arc::clone(&self.streams)));
                let spout = flow.as_ref().map(|flow| Box::new(Spout::new(call, number, flow, &self.outbox)));
                lane.run(Errand { wire, attempt, spout });
                free.insert(Task { number, started_at, began, lane, flow });
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
        task.lane.close();
        let failure = Failure::new(FailureClass::Cancelled, "the call was cancelled while it was being sent");
        let failure = match task.flow {
            Some(flow) => flow.end(failure),
            None => failure,
        };
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
            task.lane.close();
        }
        tasks.into_keys().collect()
    }

    /// Reports an attempt that ended by itself, and tells its lane whether to wait for another one.
    pub(super) fn finish(&self, report: Report, lane: &Arc<Lane>) -> ControlFlow<()> {
        // An attempt that is not there any more was ended, and reported, from outside in the same moment.
        if self.remove(report.call).is_some() {
            self.outbox.push(report);
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= IDLE_LANES {
            return ControlFlow::Break(());
        }
        idle.push(Arc::clone(lane));
        ControlFlow::Continue(())
    }

    fn idle_lane(&self) -> Option<Arc<Lane>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
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
