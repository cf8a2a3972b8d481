//! The calls that a dispatcher has on the wire, a row a batch; written and deleted without SQL.

use std::time::SystemTime;

use pgrx::prelude::*;

use super::by_key;
use super::datum::small;
use super::statement::column;
use super::table::{Column, Rows, value};
use super::time::to_timestamp;
use crate::domain::call::CallId;
use crate::error::Error;

/// The calls that go on the wire together.
#[derive(Clone, Debug)]
pub struct Lease {
    pub batch: i64,
    pub epoch: i32,
    pub floor: i64,
    pub calls: Vec<Leased>,
}

/// One call of a lease.
#[derive(Clone, Copy, Debug)]
pub struct Leased {
    pub call: CallId,
    /// The number of the try.
    pub number: u32,
    pub interruptions: u32,
}

/// What is written of a lease.
const LEASE: [Column; 7] = [
    (c"batch", pg_sys::INT8OID),
    (c"epoch", pg_sys::INT4OID),
    (c"floor", pg_sys::INT8OID),
    (c"taken_at", pg_sys::TIMESTAMPTZOID),
    (c"call_ids", pg_sys::INT8ARRAYOID),
    (c"numbers", pg_sys::INT2ARRAYOID),
    (c"interruptions", pg_sys::INT2ARRAYOID),
];

/// Notes that calls go on the wire.
pub fn insert(lease: &Lease) -> Result<(), Error> {
    let mut rows = Rows::open(c"lease", &LEASE)?;
    rows.add(&[
        value(lease.batch),
        value(lease.epoch),
        value(lease.floor),
        value(to_timestamp(SystemTime::now())),
        value(column(&lease.calls, |leased| leased.call.0)),
        value(column(&lease.calls, |leased| small(leased.number))),
        value(column(&lease.calls, |leased| small(leased.interruptions))),
    ]);
    rows.close();
    Ok(())
}

/// Forgets batches whose calls are all done with.
pub fn delete(batches: &[i64]) -> Result<(), Error> {
    by_key::delete(c"lease", batches)
}
