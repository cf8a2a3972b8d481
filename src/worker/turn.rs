//! One turn of the dispatcher, and the state between turns.
//!
//! Runs on the main thread of a dispatcher. Reading changes only memory and stays true when the transaction fails;
//! what is to be written stays in the outbox until a transaction with it has committed.

use std::collections::{HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime};

use pgrx::pg_sys;

use super::batches::Returned;
use super::commands::Commands;
use super::endpoints::Endpoints;
use super::failpoint;
use super::jobs::Jobs;
use super::ledger::{Ledger, Source, Waiting};
use super::lock::{self, Hold};
use super::outbox::Outbox;
use super::queued::counting::Counting;
use super::runners::Runners;
use super::schedules::Schedules;
use super::secrets::Secrets;
use super::send::Departure;
use super::shared::Database;
use super::sockets::Sockets;
use super::standings::Standings;
use super::streams::Streams;
use super::usage::Usage;
use super::waking::{Timers, Wants};
use crate::domain::attempt::Report;
use crate::domain::backlog::{Backlog, LaneName};
use crate::domain::cursor::Cursor;
use crate::domain::lane_policy::Capacity;
use crate::domain::request::Targets;
use crate::engine::Engine;
use crate::error::Error;
use crate::guc::Settings;
use crate::store::deferred::Until;
use crate::store::fresh::Care;
use crate::store::leases::Lease;
use crate::store::owner;
use crate::store::retention::Ring;
use crate::store::schedules::history::Position;
use crate::store::transaction::{Aborted, Durability, attempt, under_snapshot};

/// With nothing due and nothing told, the dispatcher looks around this often.
const SLOW_POLL: Duration = Duration::from_secs(300);

/// While calls may still appear among ids already passed, it looks for them this often.
const GAP_POLL: Duration = Duration::from_secs(5);

/// Calls that may wait in memory.
const WINDOW: usize = 4096;

/// Bytes of answers settled in one turn, so that no statement grows without bound.
pub(super) const ANSWER_BUDGET: usize = 32 * 1024 * 1024;

/// A dispatcher at work.
pub struct Dispatcher {
    pub(super) settings: Settings,
    pub(super) engine: Option<Engine>,
    pub(super) entry: &'static Database,
    /// What it serves; another extension of the same name is another queue.
    pub(super) extension: pg_sys::Oid,
    /// Calls that the process's file descriptors allow on the wire.
    pub(super) descriptor_budget: usize,
    pub(super) epoch: i32,
    pub(super) database_id: String,
    pub(super) newest_batch: i64,
    pub(super) ring: Ring,
    pub(super) cursor: Cursor,
    /// Up to this id, a predecessor may have dealt with calls.
    pub(super) recovering_to: i64,
    pub(super) backlog: Backlog<Waiting>,
    pub(super) ledger: Ledger,
    pub(super) targets: Targets,
    pub(super) reports: VecDeque<Report>,
    /// Answers that say something of a call's items, which are still to be read.
    pub(super) returned: Returned,
    pub(super) streams: Streams,
    pub(super) outbox: Outbox,
    pub(super) endpoints: Endpoints,
    pub(super) standings: Standings,
    /// Taken out of the backlog, and not ready yet.
    pub(super) chosen: VecDeque<(LaneName, Waiting)>,
    /// Chosen to be sent, as soon as their lease has committed.
    pub(super) taking: Vec<Departure>,
    pub(super) runners: Runners,
    pub(super) commands: Commands,
    pub(super) secrets: Secrets,
    pub(super) schedules: Schedules,
    pub(super) sockets: Sockets,
    pub(super) jobs: Jobs,
    pub(super) usage: Usage,
    pub(super) wants: Wants,
    pub(super) timers: Timers,
    pub(super) counting: Counting,
    /// How far the runs of schedules have been gone through that may be forgotten.
    pub(super) history_to: Option<Position>,
    pub(super) paused: bool,
    pub(super) stopping: bool,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Done,
    ExtensionChanging,
    ExtensionGone,
}

impl Dispatcher {
    /// Takes what is finished, looks for work, writes, and sends.
    pub fn turn(&mut self, now: SystemTime) -> Result<Turn, Aborted> {
        self.note_reasons(now);
        self.settle_reports(now);
        if !self.has_work(now) {
            self.run_sockets(now);
            self.run_schedules(now);
            return Ok(Turn::Done);
        }
        let end = attempt(AssertUnwindSafe(|| match lock::hold_extension() {
            Hold::BeingChanged => Ok((Turn::ExtensionChanging, Durability::Relaxed)),
            Hold::Held(extension) if extension == self.extension => {
                owner::step_down()?;
                self.settle_returned(now);
                self.look(now)?;
                self.choose(now)?;
                self.write(now)?;
                Ok((Turn::Done, self.durability()))
            }
            Hold::Gone | Hold::Held(_) => Ok((Turn::ExtensionGone, Durability::Relaxed)),
        }));
        match end {
            Ok(Turn::Done) => self.committed(now),
            Ok(other) => return Ok(other),
            Err(aborted) => {
                // Rows of jobs that this turn was to forget are still there.
                self.wants.jobs = true;
                self.rescue(&aborted);
                return Err(aborted);
            }
        }
        self.keep_house(now);
        self.run_sockets(now);
        self.run_schedules(now);
        Ok(Turn::Done)
    }

    /// Gives what lanes cannot send soon back to the table of deferred calls.
    pub(super) fn spill(&mut self, now: SystemTime) {
        for (lane, waiting) in self.backlog.spill(now) {
            self.ledger.stops_waiting(waiting.queued.id);
            // One that was read from where it would be written is only forgotten.
            if waiting.source != Source::Parked {
                self.outbox.deferrals.push(waiting.queued.deferral(Until::Room(lane.to_string())));
            }
        }
    }

    fn write(&mut self, now: SystemTime) -> Result<(), Error> {
        let unwritten: HashSet<i64> = self.jobs.batches().collect();
        let done = self.ledger.take_finished_batches(self.newest_batch, &unwritten);
        self.outbox.finished_batches.extend(done);
        self.decide_jobs(now)?;
        if !self.outbox.endings.is_empty() || !self.jobs.decided().rows.endings.is_empty() {
            failpoint::hit("before_response_commit");
        }
        if !self.outbox.landings.is_empty() {
            failpoint::hit("before_event_commit");
        }
        if self.outbox.lease.is_some() {
            failpoint::hit("before_lease_commit");
        }
        under_snapshot(|| {
            self.outbox.write(self.ring.current)?;
            self.jobs.decided().write(self.ring.current)?;
            self.write_deliveries()?;
            self.write_usage(now)
        })
    }

    /// How much of this turn must be on disk when it commits. The lease of a call that a predecessor may have had on
    /// the wire must: if the call is what ended it, each further end has to be counted. So must what a job is sent with: its
    /// function will work for long, and then come back with it.
    fn durability(&self) -> Durability {
        let recovering = |lease: &Lease| lease.calls.iter().any(|leased| leased.call.0 <= self.recovering_to);
        let has_jobs = !self.jobs.decided().is_empty() || self.taking.iter().any(|taken| taken.handover.is_some());
        let must_last = self.outbox.lease.as_ref().is_some_and(recovering) || self.leases_to_quota() || has_jobs;
        if must_last { Durability::Full } else { self.outbox.durability() }
    }

    /// The transaction is on its way to disk: tell the world, and send what it leased.
    fn committed(&mut self, now: SystemTime) {
        let mut outbox = std::mem::take(&mut self.outbox);
        outbox.absorb(self.jobs_are_decided());
        if let Some(lease) = &outbox.lease {
            failpoint::hit("after_lease_commit");
            self.newest_batch = lease.batch;
        }
        self.usage_committed(now);
        self.send(outbox.lease.as_ref(), now);
        self.note_written(&outbox);
        // Before anybody is woken: who has waited for a call may ask what it has counted for.
        self.show_gauges(now);
        self.announce(|| outbox.told_of());
        self.runners.look_after(now);
        let poll = if self.cursor.has_gaps() { GAP_POLL } else { SLOW_POLL };
        self.timers.next_poll = now + poll;
    }

    /// As many calls at once as the settings allow, and the file descriptors that websockets leave.
    pub(super) fn limit_calls(&mut self) {
        let descriptors = self.descriptor_budget.saturating_sub(self.sockets.count()).max(1);
        self.backlog.set_limits(capacity(&self.settings, descriptors), self.settings.breaker);
    }

    /// Reads the settings anew.
    pub fn reconfigure(&mut self, settings: Settings) {
        if let Some(engine) = &self.engine {
            engine.reconfigure(super::session::engine_settings(&settings));
        }
        self.timers.next_advance = self.ring.due_at(settings.retention);
        self.runners.set_limits(settings.max_runners, settings.callback_timeout);
        self.timers.next_expiry = SystemTime::now();
        self.timers.next_history = self.timers.next_history.min(SystemTime::now() + settings.schedule_history / 24);
        self.settings = settings;
        self.limit_calls();
        // The key file and the directory may be other ones now.
        self.secrets.forget();
        self.wants.callbacks = true;
        self.schedules.want();
        self.sockets.reconfigure();
        self.wants.commands = true;
    }
}

/// How much may wait and run under these settings.
pub(super) fn capacity(settings: &Settings, descriptor_budget: usize) -> Capacity {
    Capacity {
        in_flight: settings.max_in_flight.min(descriptor_budget),
        per_lane: settings.max_concurrency,
        window: WINDOW,
    }
}

/// Whether ids up to here may have been dealt with before this dispatcher began.
pub(super) fn care(first: i64, recovering_to: i64) -> Care {
    if first <= recovering_to { Care::Recovering } else { Care::Fresh }
}
