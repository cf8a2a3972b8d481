//! Taking over from a dispatcher that ended, in whatever way it did.
//!
//! Runs on the main thread of a new dispatcher, once. In one transaction: begin an epoch, send again what was on the
//! wire, and put a lease without calls in place of the old ones, to carry the floor.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use pgrx::pg_sys;

use super::batches::Returned;
use super::commands::Commands;
use super::endpoints::Endpoints;
use super::interrupted;
use super::jobs::Jobs;
use super::latch;
use super::ledger::Ledger;
use super::lock::{self, Hold};
use super::outbox::Outbox;
use super::queued::counting::Counting;
use super::runners::Runners;
use super::schedules::Schedules;
use super::secrets::Secrets;
use super::shared::Database;
use super::sockets::Sockets;
use super::standings::Standings;
use super::streams::Streams;
use super::turn::{Dispatcher, capacity};
use super::usage::Usage;
use super::waking::{Timers, Wants};
use crate::domain::backlog::{Backlog, LaneName};
use crate::domain::call::CallId;
use crate::domain::cursor::Cursor;
use crate::domain::interruption::{Fate, Interruption, Reported};
use crate::domain::request::Targets;
use crate::domain::tally::Kind;
use crate::engine::Engine;
use crate::error::Error;
use crate::guc::Settings;
use crate::store::jobs::deliveries;
use crate::store::jobs::hold::{self, Held};
use crate::store::leases::Lease;
use crate::store::recovery::{Interrupted, Standing};
use crate::store::retention::Ring;
use crate::store::sockets::handling;
use crate::store::transaction::{Aborted, Durability, attempt, under_snapshot};
use crate::store::{callbacks, control, fresh, owner, recovery, retention, scan};

/// What the tables say when a dispatcher begins.
pub struct Inheritance {
    /// Which extension it is: another one of the same name is another queue.
    extension: pg_sys::Oid,
    control: control::Control,
    standing: Standing,
    last_handed_out: i64,
    ring: Ring,
    parked: Vec<String>,
    epoch: i32,
}

impl Dispatcher {
    /// A dispatcher that goes on where the last one ended.
    pub fn new(
        found: Inheritance,
        settings: Settings,
        descriptor_budget: usize,
        engine: Engine,
        entry: &'static Database,
    ) -> Self {
        let now = SystemTime::now();
        let mut backlog = Backlog::new(capacity(&settings, descriptor_budget), settings.breaker);
        for lane in &found.parked {
            for kind in [Kind::Fresh, Kind::Retry] {
                backlog.note_spilled(&LaneName::from(lane.as_str()), kind);
            }
        }
        Self {
            runners: Runners::new(settings.max_runners, settings.callback_timeout),
            commands: Commands::default(),
            secrets: Secrets::default(),
            schedules: Schedules::new(),
            sockets: Sockets::new(),
            jobs: Jobs::default(),
            usage: Usage::new(),
            timers: Timers {
                next_due: Some(now),
                next_poll: now,
                next_spill: now,
                next_advance: found.ring.due_at(settings.retention),
                next_key_sweep: now + Duration::from_secs(60),
                next_expiry: now,
                next_history: now
                    + (settings.schedule_history / 24).clamp(Duration::from_secs(5), Duration::from_secs(300)),
            },
            counting: Counting::new(now),
            history_to: None,
            settings,
            engine: Some(engine),
            entry,
            extension: found.extension,
            descriptor_budget,
            epoch: found.epoch,
            database_id: found.control.database_id,
            newest_batch: found.standing.batch + 1,
            ring: found.ring,
            cursor: Cursor::starting_at(found.standing.floor),
            recovering_to: found.last_handed_out,
            backlog,
            ledger: Ledger::default(),
            targets: Targets::default(),
            reports: VecDeque::new(),
            returned: Returned::default(),
            streams: Streams::default(),
            standings: Standings::of_database(latch::my_database()),
            outbox: Outbox::default(),
            chosen: VecDeque::new(),
            taking: Vec::new(),
            wants: Wants {
                scan: true,
                control: true,
                endpoints: true,
                cancellations: true,
                extension: false,
                callbacks: true,
                jobs: true,
                commands: true,
            },
            endpoints: Endpoints::default(),
            paused: found.control.paused,
            stopping: false,
        }
    }
}

/// How taking over went.
pub enum Takeover {
    Done(Inheritance),
    /// Somebody is dropping or altering the extension.
    ExtensionChanging,
    ExtensionGone,
}

/// Takes over from the last dispatcher. When it fails nothing has changed, and it can be tried again.
pub fn take_over(settings: &Settings) -> Result<Takeover, Aborted> {
    let now = SystemTime::now();
    attempt(|| match lock::hold_extension() {
        Hold::Gone => Ok((Takeover::ExtensionGone, Durability::Relaxed)),
        Hold::BeingChanged => Ok((Takeover::ExtensionChanging, Durability::Relaxed)),
        Hold::Held(extension) => {
            owner::step_down()?;
            Ok((Takeover::Done(read_and_renew(settings, now, extension)?), Durability::Full))
        }
    })
}

fn read_and_renew(settings: &Settings, now: SystemTime, extension: pg_sys::Oid) -> Result<Inheritance, Error> {
    under_snapshot(|| recovery::leave_calls_to_the_original(latch::my_database()))?;
    under_snapshot(recovery::forget_functions_of_before)?;
    under_snapshot(callbacks::count_from_now_on)?;
    under_snapshot(handling::count_from_now_on)?;
    under_snapshot(|| {
        let standing = recovery::standing()?;
        let mut outbox = Outbox::default();
        let found = recovery::interrupted()?;
        let held = hold_jobs(&found)?;
        let (mut over, mut ended) = (Vec::new(), Vec::new());
        for call in &found {
            let events = call.stream.as_ref().map_or(0, |stream| stream.events);
            let (before, most) = (call.interruptions, settings.max_interruptions);
            if !call.is_job {
                interrupted::write(call, Interruption::of_call(events, before, most), now, &mut outbox);
                continue;
            }
            let reported = reported(&held, call.call);
            let interruption = Interruption::of_job(reported, events, before, most);
            match interruption.fate {
                Fate::GivenUp | Fate::BrokenOff => ended.push(call.call),
                Fate::SentAgain if reported == Reported::No => over.push(call.call),
                // It may still be reported on, or was.
                Fate::SentAgain | Fate::TakenUp => {}
            }
            interrupted::write(call, interruption, now, &mut outbox);
        }
        let control = control::read()?;
        let last_handed_out = fresh::last_handed_out()?;
        let ring = retention::ring()?;
        let parked = scan::parked_lanes()?;
        let epoch = control::new_epoch()?;
        recovery::clear_standing()?;
        deliveries::forget_refused()?;
        outbox.lease = Some(Lease { batch: standing.batch + 1, epoch, floor: standing.floor, calls: Vec::new() });
        outbox.write(ring.current)?;
        if !over.is_empty() {
            deliveries::end_deliveries(&over)?;
        }
        if !ended.is_empty() {
            deliveries::forget(&ended)?;
        }
        Ok(Inheritance { extension, control, standing, last_handed_out, ring, parked, epoch })
    })
}

/// What the row of a job says, where it can be had.
fn reported(held: &Held, call: CallId) -> Reported {
    match held.row(call) {
        Some(row) if row.delivery.as_ref().is_some_and(|delivery| delivery.said.is_some()) => Reported::Perhaps,
        None if held.is_locked(call) => Reported::Perhaps,
        Some(_) | None => Reported::No,
    }
}

/// Takes the rows of the jobs that were on the wire, as far as they can be had.
fn hold_jobs(found: &[Interrupted]) -> Result<Held, Error> {
    let jobs: Vec<CallId> = found.iter().filter(|call| call.is_job).map(|call| call.call).collect();
    if jobs.is_empty() { Ok(Held::default()) } else { hold::hold(&jobs) }
}
