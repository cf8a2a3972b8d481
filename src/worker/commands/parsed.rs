//! What Postgres' parser has made of the string of a command.

#![allow(unsafe_code, reason = "a parse tree of Postgres is made of C structures")]

use std::ffi::CStr;

use pgrx::prelude::*;

/// The statements of a string, in the memory context in which it was parsed.
#[derive(Clone, Copy)]
pub struct Statements(*mut pg_sys::List);

/// One of them.
#[derive(Clone, Copy)]
pub struct Statement(*mut pg_sys::RawStmt);

impl Statements {
    /// Parses a string, inside a transaction.
    ///
    /// SAFETY: the current memory context and the text must outlive this, and every statement taken from it.
    pub unsafe fn parse(text: &CStr) -> Self {
        // SAFETY: main thread, inside a transaction.
        Self(unsafe { pg_sys::pg_parse_query(text.as_ptr()) })
    }

    /// The statements in their order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = Statement> {
        // SAFETY: no list is an empty one; the parser's list holds RawStmt.
        let length = if self.0.is_null() { 0 } else { unsafe { usize::try_from((*self.0).length).unwrap_or(0) } };
        (0..length).map(move |index| {
            // SAFETY: as above, and the index is below the list's length.
            Statement(unsafe { (*(*self.0).elements.add(index)).ptr_value.cast() })
        })
    }
}

impl Statement {
    /// The statement's own node.
    fn node(self) -> *mut pg_sys::Node {
        // SAFETY: whoever has parsed the string keeps it.
        unsafe { (*self.0).stmt }
    }

    /// What its completion is called.
    pub fn tag(self) -> pg_sys::CommandTag::Type {
        // SAFETY: main thread; the node is the parser's.
        unsafe { pg_sys::CreateCommandTag(self.node()) }
    }

    /// Whether it begins or ends a transaction, or a part of one.
    pub fn is_about_transactions(self) -> bool {
        // SAFETY: every node begins with its tag.
        unsafe { (*self.node()).type_ == pg_sys::NodeTag::T_TransactionStmt }
    }

    /// Whether `log_statement` wants it in the server log.
    pub fn is_to_be_logged(self) -> bool {
        const NONE: i32 = 0;
        // SAFETY: a plain variable of the process, one of the values of Postgres' LogStmtLevel; the node is the parser's.
        unsafe {
            let level = pg_sys::log_statement;
            level != NONE && i64::from(pg_sys::GetCommandLogLevel(self.node())) <= i64::from(level)
        }
    }

    /// Raises an error if it copies from or to a client. There is none, and Postgres would take the server's own standard
    /// input and output for it.
    pub fn refuse_copy_to_client(self) {
        let node = self.node();
        // SAFETY: a node's tag tells its type.
        let copies = unsafe {
            (*node).type_ == pg_sys::NodeTag::T_CopyStmt && (*node.cast::<pg_sys::CopyStmt>()).filename.is_null()
        };
        if copies {
            ereport!(
                ERROR,
                PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
                "the command of a schedule has no client to COPY from or to",
                "Copy from or to a file or a program on the server, or a table."
            );
        }
    }

    /// Makes plans of it, under a snapshot if it needs one.
    ///
    /// SAFETY: inside a transaction; the plans live in the current memory context.
    pub unsafe fn plan(self, text: &CStr) -> *mut pg_sys::List {
        // SAFETY: as the caller says; the snapshot pushed here is popped here, or by the abort.
        unsafe {
            let needs_snapshot = pg_sys::analyze_requires_snapshot(self.0);
            if needs_snapshot {
                pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            }
            let queries = self.analyze(text);
            let parallel = pg_sys::CURSOR_OPT_PARALLEL_OK as i32;
            let plans = pg_sys::pg_plan_queries(queries, text.as_ptr(), parallel, std::ptr::null_mut());
            if needs_snapshot {
                pg_sys::PopActiveSnapshot();
            }
            plans
        }
    }

    unsafe fn analyze(self, text: &CStr) -> *mut pg_sys::List {
        let (text, no_types, no_environment) = (text.as_ptr(), std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: as above; there are no parameters.
        unsafe {
            #[cfg(feature = "pg14")]
            let queries = pg_sys::pg_analyze_and_rewrite(self.0, text, no_types, 0, no_environment);
            #[cfg(not(feature = "pg14"))]
            let queries = pg_sys::pg_analyze_and_rewrite_fixedparams(self.0, text, no_types, 0, no_environment);
            queries
        }
    }
}
