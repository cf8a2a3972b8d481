//! Letting go of a database that somebody wants for himself: DROP DATABASE, and what else needs it empty.
//!
//! Postgres refuses such a command while anybody is connected, a dispatcher included. So, before the command runs,
//! the dispatcher is told to leave; the launcher leaves the database alone until the command has ended. Runs on the
//! main thread of the session that gives the command.

#![allow(unsafe_code, reason = "a hook of Postgres is a C function over parse trees")]

mod command;
mod rights;

use std::cell::Cell;
use std::ffi::c_char;
use std::sync::atomic::Ordering;

use pgrx::prelude::*;

use self::command::{Resolution, concerns_us, database_wanted_empty, drops_extension, resolution_of_prepared};
use super::latch::{my_pid, set_latch_of};
use super::shared;
use super::wake::{self, reason};

static mut PREVIOUS: pg_sys::ProcessUtility_hook_type = None;

thread_local! {
    /// Whether this session wants a database empty, until its transaction ends. Which ones it says in shared memory.
    static HOLDS: Cell<bool> = const { Cell::new(false) };
}

unsafe extern "C-unwind" {
    /// Postgres' own, without pgrx' guard: the errors of all utility commands of the cluster pass here, and a guard
    /// would rob them of their context.
    #[link_name = "standard_ProcessUtility"]
    fn standard_process_utility(
        statement: *mut pg_sys::PlannedStmt,
        query: *const c_char,
        read_only_tree: bool,
        context: pg_sys::ProcessUtilityContext::Type,
        params: pg_sys::ParamListInfo,
        environment: *mut pg_sys::QueryEnvironment,
        destination: *mut pg_sys::DestReceiver,
        completion: *mut pg_sys::QueryCompletion,
    );
}

/// Hooks into utility commands while the server starts.
pub fn register() {
    // SAFETY: _PG_init runs once, on the only thread of the postmaster.
    unsafe {
        PREVIOUS = pg_sys::ProcessUtility_hook;
        pg_sys::ProcessUtility_hook = Some(on_utility);
    }
}

/// An error of the command jumps over this frame, so nothing in it may need dropping.
#[allow(clippy::too_many_arguments, reason = "Postgres' signature")]
unsafe extern "C-unwind" fn on_utility(
    statement: *mut pg_sys::PlannedStmt,
    query: *const c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    params: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    destination: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    // SAFETY: Postgres passes a valid statement; the previous hook, or the standard function, gets all as it came.
    unsafe {
        if concerns_us((*statement).utilityStmt) {
            prepare((*statement).utilityStmt);
        }
        let next = match PREVIOUS {
            Some(previous) => previous,
            None => standard_process_utility,
        };
        next(statement, query, read_only_tree, context, params, environment, destination, completion);
    }
}

/// Sends a dispatcher away, or lets it know that its extension may be gone.
#[pg_guard]
unsafe extern "C-unwind" fn prepare(node: *mut pg_sys::Node) {
    // SAFETY: the caller passes a statement of a kind named in `concerns_us`.
    unsafe {
        match resolution_of_prepared(node) {
            Some(Resolution::Undone) => wake::at_commit(reason::RECOUNT),
            // Its session told of what it has queued when it prepared it; what it has reported can be seen only now.
            Some(Resolution::Done) => wake::at_commit(reason::JOBS),
            None => {}
        }
        if drops_extension(node) {
            wake::at_commit(reason::LOOK);
        }
        if let Some(database) = database_wanted_empty(node) {
            hold(database);
        }
    }
}

fn hold(database: pg_sys::Oid) {
    let Some(entry) = shared::database(database) else { return };
    HOLDS.set(true);
    entry.held_by.store(my_pid(), Ordering::Release);
    wake::at_transaction_end();
    set_latch_of(entry.pid.load(Ordering::Acquire));
}

/// Lets the launcher have the databases again that this transaction held, if any. Cannot fail.
pub fn release() {
    if !HOLDS.replace(false) {
        return;
    }
    for entry in &shared::shared().databases {
        let _ = entry.held_by.compare_exchange(my_pid(), 0, Ordering::AcqRel, Ordering::Relaxed);
    }
    set_latch_of(shared::shared().launcher_pid.load(Ordering::Acquire));
}
