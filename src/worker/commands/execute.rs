//! Running a string of SQL as a session runs what a client sends it: statement after statement, each with its plan of the
//! moment, and a commit wherever Postgres would make one.
//!
//! SPI would not do: it is always inside a transaction of somebody else's, so VACUUM, CREATE INDEX CONCURRENTLY, BEGIN and
//! procedures that commit are refused there. Runs on the main thread of a command's process. An error anywhere unwinds to
//! whoever called, and `transaction::session` ends what was open.

#![allow(unsafe_code, reason = "the bridge to Postgres' own parser, planner and portals")]

use std::ffi::CStr;
use std::marker::PhantomData;
use std::time::Duration;

use pgrx::prelude::*;

use crate::worker::commands::parsed::{Statement, Statements};
use crate::worker::interrupts::{limit_time, unlimit_time};
use crate::worker::report;

/// Where a statement stands in its string.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is the only one.
    Alone,
    /// Others follow it: together they are one transaction, unless one of them says otherwise.
    Inner,
    /// It is the last of several.
    Last,
}

/// Whether this string has a transaction command open. Postgres wants each begun once and ended once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bracket {
    Open,
    Closed,
}

/// The string that is being run.
struct Running<'t> {
    text: &'t CStr,
    /// Lives as long as the string is run, across its transactions.
    context: pg_sys::MemoryContext,
    bracket: Bracket,
}

/// Has Postgres name this text in the lines that it logs, until it is dropped.
pub struct Quoted<'t>(PhantomData<&'t CStr>);

impl<'t> Quoted<'t> {
    /// From now on.
    pub fn begin(text: &'t CStr) -> Self {
        // SAFETY: main thread; the text outlives this, and with this the pointer goes.
        unsafe { pg_sys::debug_query_string = text.as_ptr() };
        Self(PhantomData)
    }
}

impl Drop for Quoted<'_> {
    fn drop(&mut self) {
        // SAFETY: main thread.
        unsafe { pg_sys::debug_query_string = std::ptr::null() };
    }
}

/// Runs all statements of a string. Gives the rows that the last one returned or changed, if it is one that counts them.
pub fn execute(text: &CStr) -> Option<u64> {
    // SAFETY: main thread, connected, outside a transaction. The text and the context outlive everything that is made of
    // them: the process runs one command and ends.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, text.as_ptr());
        let context = new_context(pg_sys::TopMemoryContext, c"pg_edge command");
        pg_sys::MessageContext = context;
        let mut running = Running { text, context, bracket: Bracket::Closed };
        running.begin();
        let statements = running.parse();
        if statements.iter().any(Statement::is_to_be_logged) {
            report::log(&format!("command, statement: {}", text.to_string_lossy()));
        }
        let count = statements.iter().len();
        let mut rows = None;
        for (index, statement) in statements.iter().enumerate() {
            let place = match index + 1 {
                _ if count == 1 => Place::Alone,
                last if last == count => Place::Last,
                _ => Place::Inner,
            };
            rows = running.run(statement, place);
        }
        running.end();
        if pg_sys::IsTransactionBlock() {
            left_open();
        }
        rows
    }
}

impl Running<'_> {
    /// SAFETY, of this and the following: as [`execute`] says.
    unsafe fn begin(&mut self) {
        if self.bracket == Bracket::Closed {
            // SAFETY: no transaction command is open.
            unsafe { pg_sys::StartTransactionCommand() };
            self.bracket = Bracket::Open;
        }
        // A role may have set a statement_timeout, or the statement before may.
        unlimit_time();
        // SAFETY: a plain variable of the process.
        let timeout = unsafe { pg_sys::StatementTimeout };
        if timeout > 0 {
            limit_time(Duration::from_millis(u64::from(timeout.unsigned_abs())));
        }
    }

    unsafe fn end(&mut self) {
        unlimit_time();
        if self.bracket == Bracket::Open {
            // SAFETY: a transaction command is open.
            unsafe { pg_sys::CommitTransactionCommand() };
            self.bracket = Bracket::Closed;
        }
    }

    unsafe fn parse(&self) -> Statements {
        // SAFETY: the statements are made in the context that outlives all transactions of the string.
        unsafe {
            let before = pg_sys::MemoryContextSwitchTo(self.context);
            let statements = Statements::parse(self.text);
            pg_sys::MemoryContextSwitchTo(before);
            statements
        }
    }

    /// Runs one statement, and commits where Postgres would.
    unsafe fn run(&mut self, statement: Statement, place: Place) -> Option<u64> {
        // SAFETY: the statement is one of the parser's; all that is made of it lives in a context that is deleted when
        // nothing refers to it any more.
        unsafe {
            pg_sys::pgstat_report_query_id(0, true);
            statement.refuse_copy_to_client();
            self.begin();
            if place != Place::Alone {
                pg_sys::BeginImplicitTransactionBlock();
            }
            pgrx::check_for_interrupts!();
            let context = new_context(self.context, c"pg_edge statement");
            let transaction = pg_sys::MemoryContextSwitchTo(context);
            let plans = statement.plan(self.text);
            let portal = pg_sys::CreatePortal(c"".as_ptr(), true, true);
            (*portal).visible = false;
            let (none, no_plan) = (std::ptr::null(), std::ptr::null_mut());
            pg_sys::PortalDefineQuery(portal, none, self.text.as_ptr(), statement.tag(), plans, no_plan);
            pg_sys::PortalStart(portal, std::ptr::null_mut(), 0, std::ptr::null_mut());
            pg_sys::MemoryContextSwitchTo(transaction);
            let rows = run_portal(portal);
            pg_sys::PortalDrop(portal, false);
            self.close(statement, place);
            pg_sys::MemoryContextDelete(context);
            rows
        }
    }

    unsafe fn close(&mut self, statement: Statement, place: Place) {
        // SAFETY: inside the transaction command of the statement, which has run to its end.
        unsafe {
            match place {
                Place::Alone => self.end(),
                Place::Last => {
                    pg_sys::EndImplicitTransactionBlock();
                    self.end();
                }
                Place::Inner if statement.is_about_transactions() => self.end(),
                Place::Inner => pg_sys::CommandCounterIncrement(),
            }
        }
    }
}

/// Runs a portal to its end, for nobody to see what it returns.
unsafe fn run_portal(portal: pg_sys::Portal) -> Option<u64> {
    let all = std::ffi::c_long::MAX;
    // SAFETY: the portal was just started; the receiver is Postgres' own that does nothing; the completion is a live local.
    unsafe {
        let nobody = pg_sys::CreateDestReceiver(pg_sys::CommandDest::DestNone);
        let mut done = pg_sys::QueryCompletion { commandTag: pg_sys::CommandTag::CMDTAG_UNKNOWN, nprocessed: 0 };
        #[cfg(not(feature = "pg18"))]
        pg_sys::PortalRun(portal, all, true, true, nobody, nobody, &raw mut done);
        #[cfg(feature = "pg18")]
        pg_sys::PortalRun(portal, all, true, nobody, nobody, &raw mut done);
        pg_sys::command_tag_display_rowcount(done.commandTag).then_some(done.nprocessed)
    }
}

fn left_open() {
    ereport!(
        ERROR,
        PgSqlErrorCode::ERRCODE_ACTIVE_SQL_TRANSACTION,
        "the command left a transaction open, which was rolled back"
    );
}

unsafe fn new_context(parent: pg_sys::MemoryContext, name: &'static CStr) -> pg_sys::MemoryContext {
    let [least, first, most] =
        [pg_sys::ALLOCSET_DEFAULT_MINSIZE, pg_sys::ALLOCSET_DEFAULT_INITSIZE, pg_sys::ALLOCSET_DEFAULT_MAXSIZE]
            .map(|size| size as usize);
    // SAFETY: the parent lives, and the name for ever.
    unsafe { pg_sys::AllocSetContextCreateInternal(parent, name.as_ptr(), least, first, most) }
}
