//! What follows from rows that were written, by whatever transaction.
//!
//! Runs on the main thread of a dispatcher, once the transaction is on its way to disk.

use std::collections::HashSet;

use super::outbox::Outbox;
use super::queued::counting;
use super::turn::Dispatcher;
use super::{latch, waiters};
use crate::domain::backlog::LaneName;
use crate::store::callbacks::{COLLECTOR, Callback};
use crate::store::deferred::{Deferral, Until};

impl Dispatcher {
    /// Rows are on their way to disk, by whatever transaction: remembers what follows from them.
    pub(super) fn note_written(&mut self, rows: &Outbox) {
        counting::ended(&rows.endings);
        self.schedules.note_ends(&rows.endings);
        self.wants.scan |= !rows.offspring.is_empty();
        self.note_deferrals(&rows.deferrals);
        self.note_callbacks(&rows.callbacks);
    }

    /// Calls have been put off.
    fn note_deferrals(&mut self, deferrals: &[Deferral]) {
        for deferral in deferrals {
            match &deferral.until {
                Until::Due(at) => self.timers.next_due = Some(self.timers.next_due.map_or(*at, |due| due.min(*at))),
                Until::Room(lane) => {
                    self.backlog.note_spilled(&LaneName::from(lane.as_str()), deferral.kind());
                }
            }
        }
    }

    /// Callbacks are to be run.
    fn note_callbacks(&mut self, callbacks: &[Callback]) {
        let (for_net, for_roles): (Vec<_>, Vec<_>) = callbacks.iter().partition(|callback| callback.owner == COLLECTOR);
        self.wants.callbacks |= !for_roles.is_empty();
        if !for_net.is_empty() {
            self.runners.want_collector();
        }
    }

    /// Tells the sessions that wait for something new of these calls.
    pub(super) fn announce(&self, calls: impl FnOnce() -> HashSet<i64>) {
        waiters::notify(latch::my_database(), calls);
    }
}
