//! Whether a text is SQL, as far as that can be told without looking at any table.

#![allow(unsafe_code, reason = "Postgres' parser is a C function")]

use std::ffi::CString;

use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;

use crate::error::Error;

/// Refuses what Postgres could not parse, and what is no statement at all.
pub fn check(command: &str) -> Result<(), Error> {
    let Ok(text) = CString::new(command) else { return Err(Error::NoCommand) };
    // The parser only allocates: it takes no lock and touches no table, so no subtransaction is needed to catch what it says
    // about the text. Anything else, a cancel for one, goes on its way.
    PgTryBuilder::new(|| {
        // SAFETY: main thread; a C string that outlives the call. An empty list is a null pointer.
        let statements = unsafe { pg_sys::raw_parser(text.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_DEFAULT) };
        if statements.is_null() { Err(Error::NoCommand) } else { Ok(()) }
    })
    .catch_others(|caught| match &caught {
        CaughtError::PostgresError(report) if is_about_the_text(report.sql_error_code()) => {
            Err(Error::Command(report.message().to_owned()))
        }
        _ => caught.rethrow(),
    })
    .execute()
}

fn is_about_the_text(code: Code) -> bool {
    matches!(
        code,
        Code::ERRCODE_SYNTAX_ERROR
            | Code::ERRCODE_FEATURE_NOT_SUPPORTED
            | Code::ERRCODE_INVALID_ESCAPE_SEQUENCE
            | Code::ERRCODE_NONSTANDARD_USE_OF_ESCAPE_CHARACTER
            | Code::ERRCODE_STATEMENT_TOO_COMPLEX
            | Code::ERRCODE_NAME_TOO_LONG
            | Code::ERRCODE_INVALID_PARAMETER_VALUE
    )
}
