//! Letting go of a database that somebody wants for himself: DROP DATABASE, and what else needs it empty.
//!
//! Postgres refuses such a command while anybody is connected, a dispatcher included. So, before the command runs,
//! the dispatcher is told to leave; the launcher leaves the database alone until the command has ended. Runs on the
//! main thread of the session that gives the command.

#![allow(unsafe_code, reason = "a hook of Postgres is a C function over parse trees")]

use std::cell::Cell;
use std::ffi::{CStr, c_char};
use std::sync::atomic::Ordering;

use pgrx::prelude::*;

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

/// Whether a command is of a kind that we have to look at.
unsafe fn concerns_us(node: *mut pg_sys::Node) -> bool {
    // SAFETY: every statement begins with its tag.
    let tag = unsafe { (*node).type_ };
    // SAFETY: as above.
    let resolves = unsafe { resolution_of_prepared(node) };
    resolves.is_some()
        || matches!(
            tag,
            pg_sys::NodeTag::T_DropdbStmt
                | pg_sys::NodeTag::T_AlterDatabaseStmt
                | pg_sys::NodeTag::T_RenameStmt
                | pg_sys::NodeTag::T_CreatedbStmt
                | pg_sys::NodeTag::T_DropStmt
        )
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

/// The database that a command needs without other sessions, if the user may do such a thing to it at all.
unsafe fn database_wanted_empty(node: *mut pg_sys::Node) -> Option<pg_sys::Oid> {
    // SAFETY: a node's tag tells its type.
    unsafe {
        let kind = (*node).type_;
        // All but renaming are refused in a transaction block, and then nobody is to be disturbed for long.
        if kind != pg_sys::NodeTag::T_RenameStmt && pg_sys::IsTransactionBlock() {
            return None;
        }
        let name = match kind {
            pg_sys::NodeTag::T_DropdbStmt => (*node.cast::<pg_sys::DropdbStmt>()).dbname,
            pg_sys::NodeTag::T_AlterDatabaseStmt => {
                let alter = node.cast::<pg_sys::AlterDatabaseStmt>();
                option_of((*alter).options, c"tablespace")?;
                (*alter).dbname
            }
            pg_sys::NodeTag::T_RenameStmt => {
                let rename = node.cast::<pg_sys::RenameStmt>();
                if (*rename).renameType != pg_sys::ObjectType::OBJECT_DATABASE {
                    return None;
                }
                (*rename).subname
            }
            pg_sys::NodeTag::T_CreatedbStmt => template_of(node.cast()),
            _ => return None,
        };
        if name.is_null() {
            return None;
        }
        let database = pg_sys::get_database_oid(name, true);
        let may_disturb = match kind {
            pg_sys::NodeTag::T_CreatedbStmt => may_copy(database),
            _ => owns(database),
        };
        (database != pg_sys::InvalidOid && may_disturb).then_some(database)
    }
}

/// The TEMPLATE that a CREATE DATABASE names, or the one that Postgres takes when none is named.
unsafe fn template_of(create: *mut pg_sys::CreatedbStmt) -> *mut c_char {
    const DEFAULT: &CStr = c"template1";
    // SAFETY: the statement is valid; nobody writes through the default's pointer.
    unsafe {
        match option_of((*create).options, c"template") {
            Some(option) if !(*option).arg.is_null() => pg_sys::defGetString(option),
            _ => DEFAULT.as_ptr().cast_mut(),
        }
    }
}

/// The option of a command on databases that has this name.
unsafe fn option_of(options: *mut pg_sys::List, name: &CStr) -> Option<*mut pg_sys::DefElem> {
    // SAFETY: the options of these commands are a list of DefElem.
    unsafe {
        let length = if options.is_null() { 0 } else { usize::try_from((*options).length).unwrap_or(0) };
        (0..length)
            .map(|index| (*(*options).elements.add(index)).ptr_value.cast::<pg_sys::DefElem>())
            .find(|option| CStr::from_ptr((**option).defname) == name)
    }
}

/// What becomes of a prepared transaction.
enum Resolution {
    Done,
    Undone,
}

/// What a command has become of a prepared transaction, where it is about one.
unsafe fn resolution_of_prepared(node: *mut pg_sys::Node) -> Option<Resolution> {
    // SAFETY: a node's tag tells its type.
    let kind = unsafe {
        if (*node).type_ != pg_sys::NodeTag::T_TransactionStmt {
            return None;
        }
        (*node.cast::<pg_sys::TransactionStmt>()).kind
    };
    match kind {
        pg_sys::TransactionStmtKind::TRANS_STMT_COMMIT_PREPARED => Some(Resolution::Done),
        pg_sys::TransactionStmtKind::TRANS_STMT_ROLLBACK_PREPARED => Some(Resolution::Undone),
        _ => None,
    }
}

unsafe fn drops_extension(node: *mut pg_sys::Node) -> bool {
    // SAFETY: a node's tag tells its type.
    unsafe {
        (*node).type_ == pg_sys::NodeTag::T_DropStmt
            && (*node.cast::<pg_sys::DropStmt>()).removeType == pg_sys::ObjectType::OBJECT_EXTENSION
    }
}

/// Whether the user owns a database.
unsafe fn owns(database: pg_sys::Oid) -> bool {
    // SAFETY: main thread, inside a transaction.
    unsafe {
        let user = pg_sys::GetUserId();
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        let owns = pg_sys::pg_database_ownercheck(database, user);
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        let owns = pg_sys::object_ownercheck(pg_sys::DatabaseRelationId, database, user);
        owns
    }
}

/// Whether the user may copy a database, by the rule of CREATE DATABASE.
unsafe fn may_copy(database: pg_sys::Oid) -> bool {
    // SAFETY: main thread, inside a transaction; the tuple is read before it is released.
    unsafe {
        let tuple =
            pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::DATABASEOID as i32, pg_sys::Datum::from(database));
        if tuple.is_null() {
            return false;
        }
        let is_template = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_database>()).datistemplate;
        pg_sys::ReleaseSysCache(tuple);
        may_create_databases() && (is_template || owns(database))
    }
}

#[cfg(not(feature = "pg14"))]
unsafe fn may_create_databases() -> bool {
    // SAFETY: main thread, inside a transaction.
    unsafe { pg_sys::have_createdb_privilege() }
}

/// Before 15, Postgres kept its own question to itself.
#[cfg(feature = "pg14")]
unsafe fn may_create_databases() -> bool {
    // SAFETY: main thread, inside a transaction; the tuple is read before it is released.
    unsafe {
        if pg_sys::superuser() {
            return true;
        }
        let user = pg_sys::Datum::from(pg_sys::GetUserId());
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::AUTHOID as i32, user);
        if tuple.is_null() {
            return false;
        }
        let may = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_authid>()).rolcreatedb;
        pg_sys::ReleaseSysCache(tuple);
        may
    }
}
