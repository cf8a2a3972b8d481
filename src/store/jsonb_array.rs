//! An array of jsonb values, as an argument.
//!
//! Runs on the main thread.

#![allow(unsafe_code, reason = "the bridge between Postgres' datums and Rust's types")]

use std::ptr::null_mut;

use pgrx::FromDatum;
use pgrx::callconv::{Arg, ArgAbi};
use pgrx::prelude::*;

use super::datum::Jsonb;
use crate::error::Error;

/// An array of jsonb. pgrx' own arrays give their memory back while values that are only passed on still point into it.
#[derive(Clone, Copy, Debug)]
pub struct JsonbArray(pg_sys::Datum);

impl_sql_translatable!(JsonbArray, "jsonb[]");

impl JsonbArray {
    /// Its items as text, as Postgres prints them; those of several dimensions one row after the other. `name` is the
    /// argument's, for the error.
    pub fn read(self, name: &'static str) -> Result<Vec<Option<String>>, Error> {
        let (mut items, mut nulls, mut count) = (null_mut(), null_mut(), 0);
        // SAFETY: main thread; the datum is a live array of jsonb, which has a length of its own and is aligned as an integer is.
        // What is made here lives in the memory of the running function.
        let (items, nulls) = unsafe {
            let array = pg_sys::pg_detoast_datum(self.0.cast_mut_ptr()).cast::<pg_sys::ArrayType>();
            let (length, alignment) = (-1, pg_sys::TYPALIGN_INT as std::ffi::c_char);
            pg_sys::deconstruct_array(
                array,
                pg_sys::JSONBOID,
                length,
                false,
                alignment,
                &mut items,
                &mut nulls,
                &mut count,
            );
            if count == 0 {
                return Ok(Vec::new());
            }
            let count = count.unsigned_abs() as usize;
            (std::slice::from_raw_parts(items, count), std::slice::from_raw_parts(nulls, count))
        };
        let read = |(item, is_null): (&pg_sys::Datum, &bool)| {
            // SAFETY: an item of the array that is not null is a jsonb.
            let item = unsafe { Jsonb::from_polymorphic_datum(*item, *is_null, pg_sys::JSONBOID) };
            item.map(|item| item.read(name)).transpose()
        };
        items.iter().zip(nulls).map(read).collect()
    }
}

impl FromDatum for JsonbArray {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: pg_sys::Oid) -> Option<Self> {
        (!is_null).then_some(Self(datum))
    }
}

// SAFETY: the conversion above matches the SQL type that impl_sql_translatable names.
unsafe impl<'fcx> ArgAbi<'fcx> for JsonbArray {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller guarantees a non-null argument of type jsonb[]; null is passed as Option.
        match unsafe { arg.unbox_arg_using_from_datum() } {
            Some(value) => value,
            None => pgrx::error!("argument must not be null"),
        }
    }
}
