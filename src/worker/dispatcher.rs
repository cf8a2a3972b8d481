//! The dispatcher: one process a database, which sends its calls.
//!
//! Its main thread runs what is in this file and calls Postgres; the engine's thread does HTTP. In each turn the main
//! thread takes what the engine finished, looks for work, writes everything in one transaction, and hands the
//! calls of that transaction's lease to the engine after the commit. No transaction is open while it waits.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pgrx::bgworkers::BackgroundWorker;
use pgrx::prelude::*;

use super::activity::{Activity, flush_statistics, show};
use super::failpoint;
use super::latch::{self, Waker, Woken};
use super::report;
use super::session;
use super::shared::{self, Database, wanted};
use super::signals::{self, Signals};
use super::takeover::{self, Inheritance, Takeover};
use super::turn::{Dispatcher, Turn};
use crate::domain::complaint::Complaints;
use crate::engine::{self, Engine};
use crate::guc::Settings;

/// How soon a turn is tried again after an error, and while somebody changes the extension.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);
pub(super) const PAUSE_FOR_DDL: Duration = Duration::from_millis(20);

/// However long the grace that is set, whoever waits for the database empty gives up after five seconds.
const LONGEST_GRACE_WHEN_SENT_AWAY: Duration = Duration::from_secs(2);

/// File descriptors left to Postgres: the tables that a turn touches, its WAL, and some to spare.
const DESCRIPTORS_FOR_POSTGRES: usize = 128;

/// Why a dispatcher ends.
enum End {
    /// It was told to stop; calls on the wire may take the grace to end.
    Stopped,
    /// The database is wanted empty, at once.
    SentAway,
    /// The extension is not there, or no longer.
    ExtensionGone,
    /// The postmaster is gone, or the engine's thread is.
    Lost,
}

/// The dispatcher's process.
#[pg_guard]
#[unsafe(no_mangle)]
#[allow(unsafe_code, reason = "the symbol's name is how Postgres finds it")]
pub extern "C-unwind" fn pg_edge_dispatcher_main(argument: pg_sys::Datum) {
    let mut signals = Signals::attach();
    // SAFETY: the launcher passes a database's oid.
    let database = unsafe { pg_sys::Oid::from_datum(argument, false) }.unwrap_or(pg_sys::InvalidOid);
    BackgroundWorker::connect_worker_to_spi_by_oid(Some(database), None);
    session::prepare();
    let Some(entry) = shared::database(database) else { signals::exit() };
    publish_pid(entry);
    if let End::ExtensionGone = serve(entry, &mut signals) {
        // Unless somebody has asked for a dispatcher again in the meantime.
        let _ = entry.wanted.compare_exchange(wanted::YES, wanted::NO, Ordering::AcqRel, Ordering::Relaxed);
        // Not worth a line in the server log: this is how the launcher finds out which databases have it.
        return;
    }
    failpoint::hit("before_exit");
    signals::exit()
}

/// Runs turn after turn until there is a reason to end.
fn serve(entry: &'static Database, signals: &mut Signals) -> End {
    match session::may_begin() {
        Ok(session::Begin::Yes) => {}
        Ok(session::Begin::NoExtension) => return End::ExtensionGone,
        Ok(session::Begin::AnotherRuns) => return End::Lost,
        Err(aborted) => {
            report::log(&format!("dispatcher cannot begin: {aborted}"));
            return End::Lost;
        }
    }
    let settings = Settings::current();
    let budget = engine::descriptor_budget(DESCRIPTORS_FOR_POSTGRES);
    let waker = Waker::of_this_process();
    let engine = match Engine::start(session::engine_settings(&settings), move || waker.wake()) {
        Ok(engine) => engine,
        Err(error) => {
            report::warn(&format!("dispatcher cannot start its engine: {error}"));
            return End::Lost;
        }
    };
    let found = match take_over(&settings, entry, signals) {
        Ok(found) => found,
        Err(end) => return end,
    };
    let mut dispatcher = Dispatcher::new(found, settings, budget, engine, entry);
    let end = run(&mut dispatcher, entry, signals);
    // Commands go on without a dispatcher, as sessions do, where there will be another one to hear how they end.
    if let End::SentAway | End::ExtensionGone = end {
        dispatcher.commands.stop();
    }
    match end {
        End::Stopped => dispatcher.finish(dispatcher.grace()),
        End::SentAway => dispatcher.finish(dispatcher.grace().min(LONGEST_GRACE_WHEN_SENT_AWAY)),
        End::ExtensionGone | End::Lost => dispatcher.finish(Duration::ZERO),
    }
    end
}

/// Takes over from the last dispatcher, as soon as nobody's lock is in the way.
fn take_over(settings: &Settings, entry: &Database, signals: &mut Signals) -> Result<Inheritance, End> {
    loop {
        let pause = match takeover::take_over(settings) {
            Ok(Takeover::Done(found)) => return Ok(found),
            Ok(Takeover::ExtensionGone) => return Err(End::ExtensionGone),
            Ok(Takeover::ExtensionChanging) => PAUSE_FOR_DDL,
            Err(aborted) => {
                shared::note_error(entry, &aborted.to_string());
                report::log(&format!("dispatcher cannot take over: {aborted}"));
                if !aborted.is_transient() {
                    return Err(End::Lost);
                }
                PAUSE_AFTER_ERROR
            }
        };
        if rest(pause) == Woken::Orphaned {
            return Err(End::Lost);
        }
        if signals.stop() {
            return Err(End::Stopped);
        }
        if entry.held_by.load(Ordering::Acquire) != 0 {
            return Err(End::SentAway);
        }
    }
}

fn run(dispatcher: &mut Dispatcher, entry: &'static Database, signals: &mut Signals) -> End {
    let mut idle = false;
    let mut complaints = Complaints::default();
    let mut resting_until: Option<SystemTime> = None;
    loop {
        let now = SystemTime::now();
        let pause = match resting_until.filter(|until| now < *until) {
            // After an error the latch is no reason to try again at once: every finished attempt sets it.
            Some(until) => until.duration_since(now).unwrap_or_default(),
            None => match dispatcher.turn(now) {
                Ok(Turn::Done) => dispatcher.pause(SystemTime::now()),
                Ok(Turn::ExtensionChanging) => PAUSE_FOR_DDL,
                Ok(Turn::ExtensionGone) => return End::ExtensionGone,
                Err(aborted) => {
                    complain(entry, &mut complaints, &aborted.to_string());
                    resting_until = Some(now + PAUSE_AFTER_ERROR);
                    PAUSE_AFTER_ERROR
                }
            },
        };
        let now_idle = dispatcher.is_idle();
        if now_idle != idle || !now_idle {
            let activity = if now_idle { Activity::Idle } else { Activity::Busy };
            if now_idle != idle {
                show(activity, "sending calls");
            }
            flush_statistics(activity);
            idle = now_idle;
        }
        if rest(pause) == Woken::Orphaned {
            return End::Lost;
        }
        if signals.stop() {
            return End::Stopped;
        }
        if entry.held_by.load(Ordering::Acquire) != 0 {
            return End::SentAway;
        }
        if signals.reloaded() {
            dispatcher.reconfigure(Settings::current());
        }
        if !dispatcher.engine_lives() {
            report::warn("dispatcher lost its engine thread and starts anew");
            return End::Lost;
        }
    }
}

/// Waits until there may be something to do. Somebody's cancel ends the wait and nothing else.
pub(super) fn rest(pause: Duration) -> Woken {
    latch::wait(pause).unwrap_or_else(|aborted| {
        report::log(&format!("dispatcher: {aborted}"));
        Woken::Up
    })
}

/// Says what is wrong, but an error that comes back every turn only now and then.
fn complain(entry: &'static Database, complaints: &mut Complaints, text: &str) {
    if complaints.is_due(text, Instant::now()) {
        shared::note_error(entry, text);
        report::log(&format!("dispatcher: {text}"));
    }
}

#[allow(unsafe_code, reason = "a callback at exit is a C function")]
fn publish_pid(entry: &'static Database) {
    unsafe extern "C-unwind" fn withdraw(_code: i32, _argument: pg_sys::Datum) {
        if let Some(entry) = shared::database(latch::my_database()) {
            let _ = entry.pid.compare_exchange(latch::my_pid(), 0, Ordering::AcqRel, Ordering::Relaxed);
        }
        latch::set_latch_of(shared::shared().launcher_pid.load(Ordering::Acquire));
    }
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    entry.gauges.started_at.store(i64::try_from(since_1970.as_micros()).unwrap_or(0), Ordering::Relaxed);
    entry.pid.store(latch::my_pid(), Ordering::Release);
    // SAFETY: main thread; the callback is a function that lives as long as the library and cannot fail.
    unsafe { pg_sys::before_shmem_exit(Some(withdraw), pg_sys::Datum::from(0)) };
}
