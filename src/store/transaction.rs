//! A transaction of a background worker that survives every error inside it.
//!
//! Runs on the main thread of a worker. An ERROR or a panic, at commit too, ends the transaction and becomes a value.

use std::panic::AssertUnwindSafe;

use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;

use super::error_code::Listener;
use super::owner::Identity;
use crate::error::Error;

/// Why a transaction of the worker did not commit.
#[derive(Debug)]
pub struct Aborted {
    /// What Postgres said.
    pub message: String,
    /// Under which code, as far as pgrx knows it.
    pub sqlstate: PgSqlErrorCode,
    /// The code itself, packed as Postgres does.
    code: i32,
}

/// How much must be on disk when the commit returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// As `synchronous_commit` says.
    Full,
    /// A crash may undo it, which costs no more than sending a call again.
    Relaxed,
}

/// Runs `body` in a transaction of its own and commits. `body` gets no snapshot: statements that need a certain
/// one take it with [`under_snapshot`].
#[allow(unsafe_code, reason = "pgrx' own wrapper leaves the transaction open on error")]
pub fn attempt<R>(body: impl FnOnce() -> Result<(R, Durability), Error>) -> Result<R, Aborted> {
    let run = AssertUnwindSafe(|| {
        // SAFETY: main thread, outside any transaction; what is started here is committed here, or aborted below.
        unsafe {
            pg_sys::SetCurrentStatementStartTimestamp();
            pg_sys::StartTransactionCommand();
        }
        let (value, durability) = body().map_err(Aborted::from_error)?;
        if durability == Durability::Relaxed {
            relax_this_commit();
        }
        // SAFETY: as above. Commit can fail too, which is why it stands inside the guard.
        unsafe { pg_sys::CommitTransactionCommand() };
        Ok(value)
    });
    // A commit leaves the process whoever it has become; an abort does not.
    let identity = Identity::present();
    let result = guarded_result(run);
    identity.take_again();
    result
}

/// Runs something that may raise an error, outside a transaction.
pub fn guarded<R>(body: impl FnOnce() -> R) -> Result<R, Aborted> {
    guarded_result(AssertUnwindSafe(|| Ok(body())))
}

/// Runs something that begins and ends transactions as it likes. What it leaves open, after an error too, is rolled back.
#[allow(unsafe_code, reason = "pgrx has no wrapper for it")]
pub fn session<R>(body: impl FnOnce() -> R) -> Result<R, Aborted> {
    let listener = Listener::begin();
    let run = AssertUnwindSafe(|| Ok(body()));
    let result = PgTryBuilder::new(run).catch_others(|caught| Err(Aborted::from_caught(caught, &listener))).execute();
    drop(listener);
    // SAFETY: main thread. What Postgres does with a session after an error, and before it ends: a portal that was left
    // active is given up, and no transaction, block or subtransaction stays. Without any of them, nothing happens.
    unsafe {
        pg_sys::PortalErrorCleanup();
        pg_sys::AbortOutOfAnyTransaction();
    }
    result
}

#[allow(unsafe_code, reason = "pgrx' own wrapper leaves the transaction open on error")]
fn guarded_result<R>(run: AssertUnwindSafe<impl FnOnce() -> Result<R, Aborted>>) -> Result<R, Aborted> {
    let listener = Listener::begin();
    let result = PgTryBuilder::new(run).catch_others(|caught| Err(Aborted::from_caught(caught, &listener))).execute();
    drop(listener);
    if result.is_err() {
        // SAFETY: main thread. Brings the process back to a state without a transaction, whatever state it was in.
        unsafe { pg_sys::AbortCurrentTransaction() };
    }
    result
}

/// Runs `body`, which may raise an error, in a subtransaction of the running transaction; an error undoes that alone.
pub fn in_subtransaction<R>(body: impl FnOnce() -> Result<R, Error>) -> Result<R, Aborted> {
    let listener = Listener::begin();
    let result = subtransaction(|| body().map_err(Aborted::from_error));
    result.unwrap_or_else(|caught| Err(Aborted::from_caught(*caught, &listener)))
}

/// Runs `body` in a subtransaction. `None` where it raised an error that is `forgiven`; any other goes on its way.
pub fn unless<R>(forgiven: impl FnOnce(&CaughtError) -> bool, body: impl FnOnce() -> R) -> Option<R> {
    match subtransaction(|| Ok::<R, ()>(body())) {
        Ok(result) => result.ok(),
        Err(caught) if forgiven(&caught) => None,
        Err(caught) => (*caught).rethrow(),
    }
}

/// Runs `body` in a subtransaction, which is rolled back where it gives an error or raises one.
#[allow(unsafe_code, reason = "pgrx has no wrapper for it")]
fn subtransaction<R, E>(body: impl FnOnce() -> Result<R, E>) -> Result<Result<R, E>, Box<CaughtError>> {
    // SAFETY: main thread, inside a transaction. What is begun here is released or rolled back below, and both leave
    // memory context and resource owner to whoever began it.
    let (context, owner) = unsafe {
        let before = (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner);
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(before.0);
        before
    };
    let result =
        PgTryBuilder::new(AssertUnwindSafe(|| Ok(body()))).catch_others(|caught| Err(Box::new(caught))).execute();
    // SAFETY: as above.
    unsafe {
        match result {
            Ok(Ok(_)) => pg_sys::ReleaseCurrentSubTransaction(),
            Ok(Err(_)) | Err(_) => pg_sys::RollbackAndReleaseCurrentSubTransaction(),
        }
        pg_sys::MemoryContextSwitchTo(context);
        pg_sys::CurrentResourceOwner = owner;
    }
    result
}

/// Runs `body` under a snapshot taken now.
#[allow(unsafe_code, reason = "the order of snapshot and statements is what the cursor rests on")]
pub fn under_snapshot<R>(body: impl FnOnce() -> R) -> R {
    // SAFETY: main thread, inside a transaction; the snapshot pushed here is popped here, or by the abort.
    unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot()) };
    let result = body();
    // SAFETY: as above.
    unsafe { pg_sys::PopActiveSnapshot() };
    result
}

/// Runs `body` in memory of its own, which is given back at its end. What it returns must be Rust's.
#[allow(unsafe_code, reason = "pgrx' own context keeps its name in the memory around it")]
pub fn in_own_memory<R>(body: impl FnOnce() -> R) -> R {
    // SAFETY: main thread. The context is a child of the present one, with which it goes if an error is raised.
    let (own, before) = unsafe {
        let own = pg_sys::AllocSetContextCreateExtended(
            pg_sys::CurrentMemoryContext,
            c"pg_edge look".as_ptr(),
            pg_sys::ALLOCSET_SMALL_MINSIZE as usize,
            pg_sys::ALLOCSET_SMALL_INITSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
        );
        (own, pg_sys::MemoryContextSwitchTo(own))
    };
    let result = body();
    // SAFETY: as above; nothing in the context is used any more.
    unsafe {
        pg_sys::MemoryContextSwitchTo(before);
        pg_sys::MemoryContextDelete(own);
    }
    result
}

#[allow(unsafe_code, reason = "a setting of the running transaction only")]
fn relax_this_commit() {
    // SAFETY: main thread, inside a transaction; GUC_ACTION_LOCAL undoes it when the transaction ends.
    unsafe {
        pg_sys::set_config_option(
            c"synchronous_commit".as_ptr(),
            c"off".as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_LOCAL,
            true,
            0,
            false,
        );
    }
}

impl Aborted {
    fn from_error(error: Error) -> Self {
        Self { message: error.to_string(), sqlstate: error.sqlstate(), code: error.sqlstate() as i32 }
    }

    fn from_caught(caught: CaughtError, listener: &Listener) -> Self {
        match caught {
            CaughtError::PostgresError(report)
            | CaughtError::ErrorReport(report)
            | CaughtError::RustPanic { ereport: report, .. } => {
                let sqlstate = report.sql_error_code();
                Self { message: report.message().to_owned(), sqlstate, code: listener.code_for(sqlstate) }
            }
        }
    }

    /// The five characters of the SQLSTATE.
    pub fn sqlstate_text(&self) -> String {
        // Each character is packed into six bits, the first one lowest.
        let mut code = self.code;
        let mut text = String::with_capacity(5);
        for _ in 0..5 {
            text.push(char::from((code & 0x3f) as u8 + b'0'));
            code >>= 6;
        }
        text
    }

    /// Whether it was cancelled, or took too long.
    pub fn is_cancel(&self) -> bool {
        self.sqlstate == PgSqlErrorCode::ERRCODE_QUERY_CANCELED
    }

    /// Whether the server rather than a row is at fault, so that the same write may succeed later.
    pub fn is_transient(&self) -> bool {
        use PgSqlErrorCode as Code;
        matches!(
            self.sqlstate,
            Code::ERRCODE_INSUFFICIENT_RESOURCES
                | Code::ERRCODE_DISK_FULL
                | Code::ERRCODE_OUT_OF_MEMORY
                | Code::ERRCODE_TOO_MANY_CONNECTIONS
                | Code::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED
                | Code::ERRCODE_IO_ERROR
                | Code::ERRCODE_LOCK_NOT_AVAILABLE
                | Code::ERRCODE_QUERY_CANCELED
                | Code::ERRCODE_ADMIN_SHUTDOWN
                | Code::ERRCODE_T_R_DEADLOCK_DETECTED
                | Code::ERRCODE_T_R_SERIALIZATION_FAILURE
                | Code::ERRCODE_READ_ONLY_SQL_TRANSACTION
                | Code::ERRCODE_UNDEFINED_TABLE
                | Code::ERRCODE_INVALID_SCHEMA_NAME
        )
    }
}

impl std::fmt::Display for Aborted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({:?})", self.message, self.sqlstate)
    }
}
