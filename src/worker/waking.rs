//! What the dispatcher is woken for, and how long it may rest.
//!
//! Runs on the main thread of a dispatcher. Reading and counting only: nothing here touches a table.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use super::turn::Dispatcher;
use super::wake::reason;

/// While calls wait for room, the backlog is looked at this often.
const SPILL_TICK: Duration = Duration::from_millis(200);

/// What is to be looked at in the next transaction.
#[derive(Debug)]
pub(super) struct Wants {
    pub scan: bool,
    pub control: bool,
    pub endpoints: bool,
    pub cancellations: bool,
    pub extension: bool,
    pub callbacks: bool,
    /// Functions may have reported how their jobs ended.
    pub jobs: bool,
    /// There may be a command to be begun or ended.
    pub commands: bool,
}

/// What is due when.
#[derive(Debug)]
pub(super) struct Timers {
    pub next_due: Option<SystemTime>,
    pub next_poll: SystemTime,
    pub next_spill: SystemTime,
    pub next_advance: SystemTime,
    pub next_key_sweep: SystemTime,
    pub next_history: SystemTime,
    /// When to look for responses of pg_edge_net that have been kept for long enough.
    pub next_expiry: SystemTime,
}

impl Dispatcher {
    /// How long nothing is to be done unless the latch is set.
    pub fn pause(&self, now: SystemTime) -> Duration {
        let callbacks = self.wants.callbacks || self.runners.looks_again();
        let scan = self.wants.scan && self.can_scan();
        let dropped = self.endpoints.has_dropped();
        // What held a lane back may have ended since the turn began.
        let came = !self.reports.is_empty() || self.streams.is_behind();
        let wanted = self.wants.cancellations || self.wants.jobs;
        if self.can_send(now) || scan || callbacks || dropped || wanted || came {
            return Duration::ZERO;
        }
        let may_spill = self.backlog.waiting() > 0 && !self.paused;
        let spill = may_spill.then_some(self.timers.next_spill);
        let moments = [
            self.timers.next_due.filter(|_| self.backlog.room() > 0),
            self.backlog.next_opening(now),
            spill,
            Some(self.timers.next_poll),
            Some(self.timers.next_advance),
            Some(self.timers.next_key_sweep),
            Some(self.timers.next_history),
            Some(self.timers.next_expiry),
            self.usage.next_write(),
            self.runners.next_try(now),
            self.commands.next_try(now),
            self.jobs.next_look(now),
            self.returned.next_look(),
        ];
        let first = moments.into_iter().flatten().min().unwrap_or(now);
        let pause = first.duration_since(now).unwrap_or_default();
        let others = [self.schedules.pause(self.may_run()), self.sockets.pause()];
        others.into_iter().flatten().fold(pause, Duration::min)
    }

    /// Takes the reasons that others left, and those that the clock gives.
    pub(super) fn note_reasons(&mut self, now: SystemTime) {
        // While the window is full, nothing new can be read. The bit of new calls then stays set, and as long as it
        // does, the sessions that queue more of them need not wake anybody.
        let kept = if self.can_scan() { 0 } else { reason::CALLS };
        let reasons = self.entry.wake.fetch_and(kept, Ordering::AcqRel);
        self.wants.scan |= reasons & reason::CALLS != 0;
        self.wants.control |= reasons & reason::CONTROL != 0;
        self.wants.endpoints |= reasons & reason::ENDPOINTS != 0;
        self.wants.cancellations |= reasons & reason::CANCEL != 0;
        self.wants.extension |= reasons & reason::LOOK != 0;
        self.wants.jobs |= reasons & reason::JOBS != 0;
        // A run of a schedule may have been asked for, or may go on after a pause.
        let of_commands = reason::COMMANDS | reason::SCHEDULES | reason::CONTROL;
        self.wants.commands |= reasons & of_commands != 0;
        if reasons & reason::RECOUNT != 0 {
            self.counting.want();
        }
        if reasons & reason::SCHEDULES != 0 {
            self.schedules.want();
        }
        self.sockets.note_reasons(reasons);
        if reasons & reason::SECRETS != 0 {
            self.secrets.forget();
        }
        if now >= self.timers.next_poll {
            self.wants.scan = true;
            self.wants.cancellations = true;
            self.wants.extension = true;
            self.wants.jobs = true;
            self.schedules.want();
            self.sockets.want();
        }
        // Another month has other quotas left.
        self.wants.endpoints |= !self.usage.knows(now);
        if now >= self.timers.next_spill {
            self.timers.next_spill = now + SPILL_TICK;
            if !self.paused {
                self.spill(now);
            }
        }
        self.runners.look_after(now);
        self.wants.callbacks |= self.runners.take_look_again(now);
    }

    /// Whether a transaction has something to do.
    pub(super) fn has_work(&self, now: SystemTime) -> bool {
        let due = self.timers.next_due.is_some_and(|at| at <= now) && self.backlog.room() > 0;
        let scan = self.wants.scan && self.can_scan();
        let config = self.wants.control || self.wants.endpoints || self.endpoints.has_dropped();
        let jobs = self.wants.jobs || self.jobs.next_look(now).is_some_and(|at| at <= now);
        let wants = scan || config || jobs || self.wants.cancellations || self.wants.extension;
        let timers = &self.timers;
        let house = [timers.next_advance, timers.next_key_sweep, timers.next_history, timers.next_expiry]
            .iter()
            .any(|at| now >= *at);
        due || wants
            || self.can_send(now)
            || house
            || self.wants_recount()
            || self.wants.callbacks
            || !self.outbox.is_empty()
            || self.usage_is_due(now)
            || self.returned.next_look().is_some_and(|at| at <= now)
            || !self.taking.is_empty()
            || !self.chosen.is_empty()
    }

    /// Whether a call that waits, in memory or on disk, may be sent now.
    fn can_send(&self, now: SystemTime) -> bool {
        let may_take = !self.paused && !self.stopping;
        may_take && (self.backlog.can_send(now) || !self.backlog.hungry(now).is_empty())
    }

    /// Whether memory has room for more calls.
    pub(super) fn can_scan(&self) -> bool {
        self.backlog.room() > 0
    }
}
