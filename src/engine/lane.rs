//! A lane runs one attempt after another in one task. Runs on the engine thread.
//!
//! An attempt has a task to itself as long as it runs, but the task outlives it: making, registering and freeing one for
//! each attempt cost 3 % of the engine's instructions. A lane that is cancelled dies with its attempt.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::domain::attempt::Attempt;

use super::attempt;
use super::client::Wire;
use super::running::Running;
use super::spout::Spout;

/// A task that waits for attempts, as others see it.
#[derive(Default)]
pub(super) struct Lane {
    next: Mutex<Option<Errand>>,
    filled: Notify,
    task: OnceLock<AbortHandle>,
}

/// An attempt, and what it takes to run it.
pub(super) struct Errand {
    pub(super) wire: Wire,
    pub(super) attempt: Box<Attempt>,
    /// Where its answer is to be streamed, the way to the main thread.
    pub(super) spout: Option<Box<Spout>>,
}

// === impl Lane ===

impl Lane {
    /// A new lane. It reports to `running`, and ends when that has no use for it.
    pub(super) fn open(running: &Arc<Running>) -> Arc<Self> {
        let lane = Arc::new(Self::default());
        let task = tokio::spawn(Arc::clone(&lane).work(Arc::clone(running)));
        let _first = lane.task.set(task.abort_handle());
        lane
    }

    /// Has the lane run an attempt. It must be idle.
    pub(super) fn run(&self, errand: Errand) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(errand);
        self.filled.notify_one();
    }

    /// Drops the attempt, which closes its connection, and the lane with it.
    pub(super) fn close(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    async fn work(self: Arc<Self>, running: Arc<Running>) {
        loop {
            self.filled.notified().await;
            let Some(errand) = self.take() else { continue };
            let report = attempt::run(errand).await;
            if running.finish(report, &self).is_break() {
                return;
            }
        }
    }

    fn take(&self) -> Option<Errand> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
