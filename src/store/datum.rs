//! SQL values that are passed on without being opened.
//!
//! Runs on the main thread. pgrx' own jsonb type reads every value into a tree and fails on numbers beyond a double;
//! calls need only its text, with every digit kept.

#![allow(unsafe_code, reason = "the bridge between Postgres' datums and Rust's types")]

use std::ffi::{CStr, CString};

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum, PgSqlErrorCode, direct_function_call, direct_function_call_as_datum};

use crate::error::Error;

/// A jsonb value.
#[derive(Clone, Copy, Debug)]
pub struct Jsonb(pg_sys::Datum);

/// A text value. pgrx' own conversion ends in an internal error where the bytes are not UTF-8, as they may be in a
/// database of encoding SQL_ASCII.
#[derive(Clone, Copy, Debug)]
pub struct Text(pg_sys::Datum);

/// A function, as `regproc` names it.
#[derive(Clone, Copy, Debug)]
pub struct RegProc(pub pg_sys::Oid);

impl_sql_translatable!(Jsonb, "jsonb");
impl_sql_translatable!(Text, "text");
impl_sql_translatable!(RegProc, "regproc");

impl Text {
    /// The same from Rust's own.
    pub fn of(text: &str) -> Option<Self> {
        text.into_datum().map(Self)
    }

    /// Its characters. `name` is the argument's, for the error.
    pub fn read(self, name: &'static str) -> Result<String, Error> {
        // SAFETY: main thread; the datum is a live text value of the running function, laid out as a bytea is.
        let bytes = unsafe { Vec::<u8>::from_datum(self.0, false) }.unwrap_or_default();
        String::from_utf8(bytes).map_err(|_| Error::NotUtf8(name))
    }
}

impl Jsonb {
    /// Its text, as Postgres prints it. `name` is the argument's, for the error.
    pub fn read(self, name: &'static str) -> Result<String, Error> {
        // SAFETY: main thread; the datum is a live jsonb value of the running function.
        let text = unsafe { direct_function_call::<&CStr>(pg_sys::jsonb_out, &[Some(self.0)]) }.unwrap_or_default();
        text.to_str().map(str::to_owned).map_err(|_| Error::NotUtf8(name))
    }

    /// How many bytes it takes uncompressed.
    pub fn stored_bytes(self) -> usize {
        // SAFETY: main thread; the datum is a live jsonb value of the running function, so a pointer to a varlena.
        unsafe { pg_sys::toast_raw_datum_size(self.0) }.saturating_sub(pg_sys::VARHDRSZ)
    }

    /// Reads JSON text; `None` where it is not JSON that jsonb can hold.
    pub fn parse(text: &str) -> Option<Self> {
        let text = CString::new(text).ok()?;
        let argument = pg_sys::Datum::from(text.as_ptr());
        // jsonb_in only computes: it takes no lock and touches no table, so no subtransaction is needed to catch
        // what it says about the text. Anything else, a cancel for one, goes on its way.
        PgTryBuilder::new(|| {
            // SAFETY: main thread; the argument is a C string that outlives the call.
            unsafe { direct_function_call_as_datum(pg_sys::jsonb_in, &[Some(argument)]) }.map(Self)
        })
        .catch_others(|caught| match &caught {
            CaughtError::PostgresError(report) if is_about_the_text(report.sql_error_code()) => None,
            _ => caught.rethrow(),
        })
        .execute()
    }
}

fn is_about_the_text(code: PgSqlErrorCode) -> bool {
    matches!(
        code,
        PgSqlErrorCode::ERRCODE_INVALID_TEXT_REPRESENTATION
            | PgSqlErrorCode::ERRCODE_UNTRANSLATABLE_CHARACTER
            | PgSqlErrorCode::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE
            | PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED
            | PgSqlErrorCode::ERRCODE_STATEMENT_TOO_COMPLEX
            | PgSqlErrorCode::ERRCODE_CHARACTER_NOT_IN_REPERTOIRE
    )
}

macro_rules! passed_on {
    ($type:ident, $oid:expr) => {
        impl IntoDatum for $type {
            fn into_datum(self) -> Option<pg_sys::Datum> {
                Some(pg_sys::Datum::from(self.0))
            }
            fn type_oid() -> pg_sys::Oid {
                $oid
            }
        }

        // SAFETY: the datum is handed back as it came.
        unsafe impl BoxRet for $type {
            unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
                // SAFETY: the datum has the type that the function declares.
                unsafe { fcinfo.return_raw_datum(pg_sys::Datum::from(self.0)) }
            }
        }
    };
}

pub(super) use passed_on;

passed_on!(Jsonb, pg_sys::JSONBOID);
passed_on!(RegProc, pg_sys::REGPROCOID);

impl FromDatum for Jsonb {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: pg_sys::Oid) -> Option<Self> {
        (!is_null).then_some(Self(datum))
    }
}

impl FromDatum for Text {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: pg_sys::Oid) -> Option<Self> {
        (!is_null).then_some(Self(datum))
    }
}

impl FromDatum for RegProc {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: pg_sys::Oid) -> Option<Self> {
        // SAFETY: a regproc is an oid, passed by value.
        unsafe { pg_sys::Oid::from_datum(datum, is_null) }.map(Self)
    }
}

// SAFETY: the conversions above match the SQL types that impl_sql_translatable names.
unsafe impl<'fcx> ArgAbi<'fcx> for Jsonb {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller guarantees a non-null argument of type jsonb; null is passed as Option.
        match unsafe { arg.unbox_arg_using_from_datum() } {
            Some(value) => value,
            None => pgrx::error!("argument must not be null"),
        }
    }
}

// SAFETY: as above.
unsafe impl<'fcx> ArgAbi<'fcx> for Text {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller guarantees a non-null argument of type text; null is passed as Option.
        match unsafe { arg.unbox_arg_using_from_datum() } {
            Some(value) => value,
            None => pgrx::error!("argument must not be null"),
        }
    }
}

// SAFETY: as above.
unsafe impl<'fcx> ArgAbi<'fcx> for RegProc {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller guarantees a non-null argument of type regproc; null is passed as Option.
        match unsafe { arg.unbox_arg_using_from_datum() } {
            Some(value) => value,
            None => pgrx::error!("argument must not be null"),
        }
    }
}

/// A count as Postgres keeps a large one.
pub fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count as Postgres keeps a small one.
pub fn small(count: u32) -> i16 {
    i16::try_from(count).unwrap_or(i16::MAX)
}
