//! Values that were given as text, read as Postgres itself reads them.

#![allow(unsafe_code, reason = "the bridge between Postgres' datums and Rust's types")]

use std::ffi::CString;

use pgrx::PgSqlErrorCode as Code;
use pgrx::datum::Interval;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum, direct_function_call};

/// An interval; `None` where the text is none.
pub fn interval(text: &str) -> Option<Interval> {
    let text = CString::new(text).ok()?;
    let arguments = [Some(pg_sys::Datum::from(text.as_ptr())), Some(pg_sys::Datum::from(0)), (-1i32).into_datum()];
    // SAFETY: main thread; a C string that outlives the call, a type that is not asked for, and no precision.
    read(|| unsafe { direct_function_call::<Interval>(pg_sys::interval_in, &arguments) })
}

/// The parts of a name such as `public.sent`, as in SQL: without quotes, letters become small ones.
pub fn identifiers(text: &str) -> Option<Vec<String>> {
    let arguments = [text.into_datum(), true.into_datum()];
    // SAFETY: main thread; a text and a boolean.
    read(|| unsafe { direct_function_call::<Vec<String>>(pg_sys::parse_ident, &arguments) })
}

/// Runs a function that reads a text: it takes no lock and touches no table, so no subtransaction is needed to catch what it says
/// about the text. Anything else, a cancel for one, goes on its way.
fn read<T: FromDatum>(
    function: impl FnOnce() -> Option<T> + std::panic::UnwindSafe + std::panic::RefUnwindSafe,
) -> Option<T> {
    PgTryBuilder::new(function)
        .catch_others(|caught| match &caught {
            CaughtError::PostgresError(report) if is_about_the_text(report.sql_error_code()) => None,
            _ => caught.rethrow(),
        })
        .execute()
}

fn is_about_the_text(code: Code) -> bool {
    matches!(
        code,
        Code::ERRCODE_INVALID_DATETIME_FORMAT
            | Code::ERRCODE_DATETIME_FIELD_OVERFLOW
            | Code::ERRCODE_INTERVAL_FIELD_OVERFLOW
            | Code::ERRCODE_INVALID_PARAMETER_VALUE
    )
}
