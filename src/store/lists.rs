//! Lists as Postgres keeps them, made of all their values at once.
//!
//! Runs on the main thread, inside a transaction. What is made lives in the current memory context.

#![allow(unsafe_code, reason = "the bridge to Postgres' arrays")]

use std::time::SystemTime;

use pgrx::IntoDatum;
use pgrx::prelude::*;

use super::table::Value;
use super::time::to_timestamp;

/// How the values of a type lie in an array.
struct Layout {
    of: pg_sys::Oid,
    length: i32,
    is_by_value: bool,
    alignment: u8,
}

const TEXT: Layout = Layout { of: pg_sys::TEXTOID, length: -1, is_by_value: false, alignment: pg_sys::TYPALIGN_INT };

const TIME: Layout = Layout {
    of: pg_sys::TIMESTAMPTZOID,
    length: 8,
    // Wherever a datum has room for it.
    is_by_value: size_of::<pg_sys::Datum>() == 8,
    alignment: pg_sys::TYPALIGN_DOUBLE,
};

/// Texts, some of which may be null. Where there is none, there is no list either.
pub fn texts<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> Value {
    let values = texts.map(IntoDatum::into_datum).collect();
    // SAFETY: each value is a text.
    unsafe { list(&TEXT, values) }
}

/// Moments.
pub fn times(times: impl Iterator<Item = SystemTime>) -> Value {
    let values = times.map(|time| to_timestamp(time).into_datum()).collect();
    // SAFETY: each value is a timestamp.
    unsafe { list(&TIME, values) }
}

/// # Safety
///
/// The values must be of the layout's type.
unsafe fn list(layout: &Layout, values: Vec<Value>) -> Value {
    let length = i32::try_from(values.len()).ok().filter(|length| *length > 0)?;
    let mut nulls: Vec<bool> = values.iter().map(Option::is_none).collect();
    let mut datums: Vec<pg_sys::Datum> = values.into_iter().map(|value| value.unwrap_or(0.into())).collect();
    let (mut lengths, mut first) = ([length], [1]);
    // SAFETY: main thread; values and nulls are as many as the one dimension is long, and are only read. What is made is a copy.
    let array = unsafe {
        pg_sys::construct_md_array(
            datums.as_mut_ptr(),
            nulls.as_mut_ptr(),
            1,
            lengths.as_mut_ptr(),
            first.as_mut_ptr(),
            layout.of,
            layout.length,
            layout.is_by_value,
            layout.alignment as _,
        )
    };
    Some(pg_sys::Datum::from(array))
}
