//! The rows of a statement, as a trigger for statements is given them.

#![allow(unsafe_code, reason = "the bridge to Postgres' stores of rows")]

use std::marker::PhantomData;

use pgrx::prelude::*;

use super::row::Row;

/// A transition table that is being read, from its beginning.
pub struct Transition<'call> {
    store: *mut pg_sys::Tuplestorestate,
    slot: *mut pg_sys::TupleTableSlot,
    descriptor: pg_sys::TupleDesc,
    /// The place in the store that is ours. Other triggers of the statement read from places of their own.
    place: i32,
    call: PhantomData<&'call ()>,
}

impl Transition<'_> {
    /// `None` without a store, which lives as long as the call and holds rows of the descriptor.
    pub(super) fn open(store: *mut pg_sys::Tuplestorestate, descriptor: pg_sys::TupleDesc) -> Option<Self> {
        if store.is_null() {
            return None;
        }
        // SAFETY: main thread, in the call of the trigger. The slot lives in the memory of that call.
        unsafe {
            let place = pg_sys::tuplestore_alloc_read_pointer(store, pg_sys::EXEC_FLAG_REWIND as i32);
            pg_sys::tuplestore_select_read_pointer(store, place);
            pg_sys::tuplestore_rescan(store);
            let slot = pg_sys::MakeSingleTupleTableSlot(descriptor, &raw const pg_sys::TTSOpsMinimalTuple);
            Some(Self { store, slot, descriptor, place, call: PhantomData })
        }
    }

    /// How many rows there are.
    pub fn count(&self) -> i64 {
        // SAFETY: main thread, in the call of the trigger.
        unsafe { pg_sys::tuplestore_tuple_count(self.store) }
    }

    /// Goes on to the next row; `false` where there is none. To be called in memory that lives until the next one is asked for:
    /// a row that comes from a file is kept there.
    pub fn advance(&mut self) -> bool {
        // SAFETY: main thread, in the call of the trigger.
        unsafe {
            pg_sys::tuplestore_select_read_pointer(self.store, self.place);
            pg_sys::tuplestore_gettupleslot(self.store, true, false, self.slot)
        }
    }

    /// The row that it stands on, made in the memory that is current.
    pub fn row(&self) -> Option<Row<'_>> {
        let mut is_copy = false;
        // SAFETY: main thread, in the call of the trigger, and only after `advance` has found a row. The slot holds a tuple
        // without the head that rows of tables have, so what is fetched from it is a copy.
        unsafe { Row::of(pg_sys::ExecFetchSlotHeapTuple(self.slot, false, &mut is_copy), self.descriptor) }
    }

    /// Lets go of it.
    pub fn close(self) {
        // SAFETY: main thread, in the call of the trigger; nothing uses the slot after this.
        unsafe { pg_sys::ExecDropSingleTupleTableSlot(self.slot) };
    }
}
