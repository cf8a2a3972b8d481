//! One turn of the dispatcher, and the state between turns.
//!
//! Runs on the main thread of a dispatcher. Reading changes only memory and stays true when the transaction fails;
//! what is to be written stays in the outbox until a transaction with it has committed.

use std::collections::{HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
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
use super::queued::counting::{self, Counting};
use super::runners::Runners;
use super::schedules::Schedules;
use super::secrets::Secrets;
use super::send::Departure;
use super::settle::{self, Grounds, Settled};
use super::shared::Database;
use super::sockets::Sockets;
use super::standings::Standings;
use super::streams::Streams;
use super::usage::Usage;
use super::wake::reason;
use crate::domain::attempt::Report;
use crate::domain::backlog::{Backlog, LaneName};
use crate::domain::cursor::Cursor;
use crate::domain::lane_policy::Capacity;
use crate::domain::profile::said::Said;
use crate::domain::request::Targets;
use crate::engine::Engine;
use crate::error::Error;
use crate::guc::Settings;
use crate::store::callbacks::{COLLECTOR, Callback};
use crate::store::deferred::{Deferral, Until};
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

/// While calls wait for room, the backlog is looked at this often.
const SPILL_TICK: Duration = Duration::from_millis(200);

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
                self.rescue(&aborted);
                return Err(aborted);
            }
        }
        self.keep_house(now)?;
        self.run_sockets(now);
        self.run_schedules(now);
        Ok(Turn::Done)
    }

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
    fn note_reasons(&mut self, now: SystemTime) {
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

    /// Gives what lanes cannot send soon back to the table of deferred calls.
    fn spill(&mut self, now: SystemTime) {
        for (lane, waiting) in self.backlog.spill(now) {
            self.ledger.stops_waiting(waiting.queued.id);
            // One that was read from where it would be written is only forgotten.
            if waiting.source != Source::Parked {
                self.outbox.deferrals.push(waiting.queued.deferral(Until::Room(lane.to_string())));
            }
        }
    }

    /// Turns finished attempts into rows.
    fn settle_reports(&mut self, now: SystemTime) {
        if let Some(engine) = &self.engine {
            let (mut pieces, mut drained) = (Vec::new(), Vec::new());
            engine.drain(&mut pieces, &mut drained);
            engine.drain_sockets(&mut self.sockets.news);
            self.streams.add(pieces);
            self.reports.extend(drained);
            super::engine_log::pump(engine);
        }
        self.land_pieces(now);
        let behind = self.streams.behind();
        let mut later = VecDeque::new();
        while self.outbox.bytes() < ANSWER_BUDGET {
            let Some(report) = self.reports.pop_front() else { break };
            if behind.contains(&report.call) {
                later.push_back(report);
                continue;
            }
            if self.waits_for_items(&report) {
                self.returned.add(report, now);
                continue;
            }
            let Some(entry) = self.ledger.returns(report.call) else { continue };
            self.count_answer(&entry, &report.outcome, now);
            if entry.terms.is_some() {
                self.delivery_returns(report, entry, now);
                continue;
            }
            let settled = match self.streams.take_refusal(report.call) {
                Some(why) => settle::settle_refused(report, &entry, &why, now, &mut self.outbox),
                None => {
                    let policy = self.endpoints.retry(&entry.lane);
                    let said = Said::of(policy.profile, &report.outcome);
                    self.standings.heard(&entry.lane, &report.outcome, &said, now);
                    let grounds = Grounds { policy, said: &said, now, random: fastrand::f64() };
                    settle::settle(report, &entry, grounds, &mut self.outbox)
                }
            };
            self.note_settled(&entry.lane, &settled, now);
        }
        later.append(&mut self.reports);
        self.reports = later;
    }

    /// Tells a lane what became of one of its attempts.
    pub(super) fn note_settled(&mut self, lane: &LaneName, settled: &Settled, now: SystemTime) {
        self.backlog.ended(lane, settled.ended, now);
        if let Some(until) = settled.parks_endpoint {
            self.backlog.park(lane, until);
        }
    }

    fn has_work(&self, now: SystemTime) -> bool {
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
        counting::ended(&outbox.endings);
        self.schedules.note_ends(&outbox.endings);
        if let Some(lease) = &outbox.lease {
            failpoint::hit("after_lease_commit");
            self.newest_batch = lease.batch;
        }
        self.usage_committed(now);
        self.wants.scan |= !outbox.offspring.is_empty();
        self.send(outbox.lease.as_ref(), now);
        self.note_deferrals(&outbox.deferrals);
        self.announce(&outbox.told_of());
        self.show_gauges(now);
        self.note_callbacks(&outbox.callbacks);
        self.runners.look_after(now);
        let poll = if self.cursor.has_gaps() { GAP_POLL } else { SLOW_POLL };
        self.timers.next_poll = now + poll;
    }

    /// Calls have been put off.
    pub(super) fn note_deferrals(&mut self, deferrals: &[Deferral]) {
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
    pub(super) fn note_callbacks(&mut self, callbacks: &[Callback]) {
        let (for_net, for_roles): (Vec<_>, Vec<_>) = callbacks.iter().partition(|callback| callback.owner == COLLECTOR);
        self.wants.callbacks |= !for_roles.is_empty();
        if !for_net.is_empty() {
            self.runners.want_collector();
        }
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
