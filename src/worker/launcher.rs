//! The launcher: one process a cluster that keeps a dispatcher running in every database with the extension.
//!
//! It is told of a new one by CREATE EXTENSION, through shared memory. When the server starts it finds them by
//! looking: it sends a dispatcher into every database, and one that finds no extension leaves again. Runs on the main
//! thread of its process; it has no other.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pgrx::bgworkers::{
    BackgroundWorker, BackgroundWorkerBuilder, BackgroundWorkerStatus, BgWorkerStartTime, DynamicBackgroundWorker,
};
use pgrx::prelude::*;

use super::activity::{Activity, show};
use super::latch::{self, Woken};
use super::library;
use super::report;
use super::server_zone;
use super::shared::{self, Ask, Database, shared, wanted};
use super::signals::{self, Signals};
use crate::store::transaction::{Durability, attempt, under_snapshot};

/// With nothing to do the launcher looks around this often.
const IDLE: Duration = Duration::from_secs(60);

/// The first and the longest pause before a dispatcher that ended is started again.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A dispatcher that lived this long is not counted as failing.
const STABLE: Duration = Duration::from_secs(10);

/// Registers the launcher while the server starts.
pub fn register() {
    BackgroundWorkerBuilder::new("pg_edge launcher")
        .set_type("pg_edge launcher")
        .set_library(&library::path())
        .set_function("pg_edge_launcher_main")
        .enable_spi_access()
        .set_start_time(BgWorkerStartTime::RecoveryFinished)
        .set_restart_time(Some(Duration::from_secs(1)))
        .load();
}

/// The launcher's process.
#[pg_guard]
#[unsafe(no_mangle)]
#[allow(unsafe_code, reason = "the symbol's name is how Postgres finds it")]
pub extern "C-unwind" fn pg_edge_launcher_main(_argument: pg_sys::Datum) {
    let mut signals = Signals::attach();
    BackgroundWorker::connect_worker_to_spi(None, None);
    publish_pid();
    server_zone::publish();
    show(Activity::Idle, "watching over dispatchers");
    let mut launcher = Launcher { runs: HashMap::new(), unvisited: databases() };
    loop {
        let pause = launcher.turn();
        match latch::wait(pause) {
            Ok(Woken::Up) => {}
            Ok(Woken::Orphaned) => signals::exit(),
            Err(aborted) => report::log(&format!("launcher: {aborted}")),
        }
        if signals.reloaded() {
            server_zone::publish();
        }
        if signals.stop() {
            signals::exit();
        }
    }
}

struct Launcher {
    /// What this launcher started, by database.
    runs: HashMap<pg_sys::Oid, Run>,
    /// Databases that have not been looked at since the server started.
    unvisited: Vec<pg_sys::Oid>,
}

struct Run {
    worker: Option<DynamicBackgroundWorker>,
    started: Instant,
    pause: Duration,
}

impl Launcher {
    /// Starts what is to be started; tells how long nothing more is to be done.
    fn turn(&mut self) -> Duration {
        while let Some(database) = self.unvisited.pop() {
            if shared::request(database, Ask::IfUnwanted).is_none() {
                // All entries are taken: the rest waits until one is free again.
                self.unvisited.push(database);
                break;
            }
        }
        let pauses = shared().databases.iter().map(|entry| self.look_after(entry));
        let pause = pauses.min().unwrap_or(IDLE);
        if self.unvisited.is_empty() { pause } else { pause.min(Duration::from_secs(1)) }
    }

    /// Starts the dispatcher of one database if it should run and does not.
    fn look_after(&mut self, entry: &Database) -> Duration {
        let oid = pg_sys::Oid::from(entry.oid.load(Ordering::Acquire));
        if oid == pg_sys::InvalidOid {
            return IDLE;
        }
        if entry.wanted.load(Ordering::Acquire) == wanted::NO {
            self.runs.remove(&oid);
            return IDLE;
        }
        if latch::is_alive(entry.pid.load(Ordering::Acquire)) {
            return IDLE;
        }
        if latch::is_alive(entry.held_by.load(Ordering::Acquire)) {
            // Its owner wants the database empty; he wakes us when he is done.
            return Duration::from_secs(1);
        }
        let asked_anew = entry.wanted.load(Ordering::Acquire) == wanted::REQUESTED;
        if let Some(run) = self.runs.get(&oid) {
            if run.is_starting() {
                return Duration::from_secs(1);
            }
            let waited = run.started.elapsed();
            if !asked_anew && waited < run.pause {
                return run.pause - waited;
            }
        }
        if !exists(oid) {
            entry.wanted.store(wanted::NO, Ordering::Release);
            self.runs.remove(&oid);
            return IDLE;
        }
        entry.wanted.store(wanted::YES, Ordering::Release);
        self.start(oid);
        Duration::from_secs(1)
    }

    fn start(&mut self, database: pg_sys::Oid) {
        let pause = match self.runs.get(&database) {
            Some(run) if run.started.elapsed() < STABLE => (run.pause * 2).min(LONGEST_PAUSE),
            _ => FIRST_PAUSE,
        };
        let worker = BackgroundWorkerBuilder::new("pg_edge dispatcher")
            .set_type("pg_edge dispatcher")
            .set_library(&library::path())
            .set_function("pg_edge_dispatcher_main")
            .enable_spi_access()
            .set_start_time(BgWorkerStartTime::RecoveryFinished)
            .set_restart_time(None)
            .set_argument(Some(pg_sys::Datum::from(database)))
            .set_notify_pid(latch::my_pid())
            .load_dynamic();
        if worker.is_err() {
            report::warn("cannot start a dispatcher: no background worker slot is free; raise max_worker_processes");
        }
        self.runs.insert(database, Run { worker: worker.ok(), started: Instant::now(), pause });
    }
}

impl Run {
    /// Started, but not so far that it shows in shared memory.
    fn is_starting(&self) -> bool {
        let Some(worker) = &self.worker else { return false };
        match worker.pid() {
            Ok(_) => self.started.elapsed() < STABLE,
            Err(BackgroundWorkerStatus::NotYetStarted) => true,
            Err(_) => false,
        }
    }
}

/// The databases that can be connected to, or none if even that cannot be read.
fn databases() -> Vec<pg_sys::Oid> {
    attempt(|| Ok((under_snapshot(connectable), Durability::Full))).unwrap_or_else(|aborted| {
        report::warn(&format!("cannot list the databases: {aborted}"));
        Vec::new()
    })
}

/// Without a database of its own the launcher has no SQL, but it can read the shared catalogs.
#[allow(unsafe_code, reason = "a scan of pg_database")]
fn connectable() -> Vec<pg_sys::Oid> {
    let mut found = Vec::new();
    // SAFETY: main thread, inside a transaction with an active snapshot. What is opened here is closed here, or by the
    // abort. Tuples of pg_database are laid out as FormData_pg_database in their fixed part.
    unsafe {
        let relation = pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock as i32);
        let scan = pg_sys::table_beginscan_catalog(relation, 0, std::ptr::null_mut());
        loop {
            let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if tuple.is_null() {
                break;
            }
            let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_database>();
            if (*form).datallowconn {
                found.push((*form).oid);
            }
        }
        if let Some(end) = (*(*(*scan).rs_rd).rd_tableam).scan_end {
            end(scan);
        }
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
    }
    found
}

/// Whether a database still exists. When that cannot be told, it is taken to exist.
fn exists(database: pg_sys::Oid) -> bool {
    let found = attempt(|| Ok((under_snapshot(connectable).contains(&database), Durability::Full)));
    found.unwrap_or(true)
}

#[allow(unsafe_code, reason = "a callback at exit is a C function")]
fn publish_pid() {
    unsafe extern "C-unwind" fn withdraw(_code: i32, _argument: pg_sys::Datum) {
        let _ = shared().launcher_pid.compare_exchange(latch::my_pid(), 0, Ordering::AcqRel, Ordering::Relaxed);
    }
    shared().launcher_pid.store(latch::my_pid(), Ordering::Release);
    // SAFETY: main thread; the callback is a function that lives as long as the library and cannot fail.
    unsafe { pg_sys::before_shmem_exit(Some(withdraw), pg_sys::Datum::from(0)) };
}
