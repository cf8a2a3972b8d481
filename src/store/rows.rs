//! Rows straight into the extension's own tables, a batch at a time.
//!
//! What `table` says of rows without SQL holds here. Rows wait until there are enough of them, and go into the table
//! together: a page is then locked, filled and logged once for all that fit onto it, and not once for each. An error that a
//! row causes is raised when its batch is stored.

#![allow(unsafe_code, reason = "the bridge to Postgres' access methods")]

use std::ffi::CStr;
use std::ptr::null_mut;

use pgrx::PgTupleDesc;
use pgrx::prelude::*;

use super::table::{Column, Value, find, positions};
use crate::error::Error;

/// So many rows are stored together at most. More would gain little, and each needs its slot.
const MOST_ROWS: usize = 256;

/// No row joins a batch whose values have so many bytes. As much as COPY takes together.
const ENOUGH_BYTES: usize = 64 * 1024;

/// A table that is open for new rows.
pub struct Rows {
    relation: pg_sys::Relation,
    state: *mut pg_sys::EState,
    target: *mut pg_sys::ResultRelInfo,
    /// What is made for one batch lives here.
    memory: pg_sys::MemoryContext,
    /// Each holds one row of the batch. They are made when they are needed and used again.
    slots: Vec<*mut pg_sys::TupleTableSlot>,
    /// The rows that wait in the first slots.
    waiting: usize,
    /// What the values of those rows take.
    bytes: usize,
    places: Vec<Place>,
}

/// Where one of the caller's columns stands in the table.
struct Place {
    position: usize,
    has_length: bool,
}

impl Rows {
    /// Opens a table that is no partitioned one. The columns that are not named become null.
    pub fn open(table: &'static CStr, columns: &[Column]) -> Result<Self, Error> {
        let table = find(table)?;
        // SAFETY: main thread, inside a transaction. All that is made here lives in the state's memory, which `close`
        // or the end of the caller's memory context frees; the relation stays open at least as long.
        unsafe {
            let relation = pg_sys::try_table_open(table, pg_sys::RowExclusiveLock as i32);
            if relation.is_null() {
                return Err(Error::NotInstalled);
            }
            let places = places(relation, columns)?;
            let state = pg_sys::CreateExecutorState();
            let before = pg_sys::MemoryContextSwitchTo((*state).es_query_cxt);
            let target = pg_sys::palloc0(size_of::<pg_sys::ResultRelInfo>()).cast::<pg_sys::ResultRelInfo>();
            pg_sys::InitResultRelInfo(target, relation, 0, null_mut(), 0);
            pg_sys::ExecOpenIndices(target, false);
            // The executor makes it for the indexes of the first row otherwise, and never empties it.
            let memory = (*pg_sys::MakePerTupleExprContext(state)).ecxt_per_tuple_memory;
            pg_sys::MemoryContextSwitchTo(before);
            Ok(Self { relation, state, target, memory, slots: Vec::new(), waiting: 0, bytes: 0, places })
        }
    }

    /// Adds a row: the values of the columns that the table was opened with, in their order. They must live until the table
    /// is closed.
    pub fn add(&mut self, values: &[Value]) {
        // SAFETY: main thread, in the transaction that opened the table. The slot has room for each of the table's columns,
        // positions are below their number, and each value has its column's type, which `open` compared with what the
        // caller said; so one whose column has a length begins with it.
        unsafe {
            let slot = self.free_slot();
            // Leaves the slot as a row of nulls that may be filled in.
            pg_sys::ExecStoreAllNullTuple(slot);
            for (place, value) in self.places.iter().zip(values) {
                let Some(datum) = value else { continue };
                *(*slot).tts_values.add(place.position) = *datum;
                *(*slot).tts_isnull.add(place.position) = false;
                if place.has_length {
                    self.bytes += pgrx::varsize_any(datum.cast_mut_ptr());
                }
            }
        }
        self.waiting += 1;
        if self.waiting == MOST_ROWS || self.bytes >= ENOUGH_BYTES {
            self.store();
        }
    }

    /// Adds a row whose values are made for it, and thrown away once it is stored. So the memory for many rows is bounded.
    pub fn add_made<const N: usize>(&mut self, make: impl FnOnce() -> [Value; N]) {
        // SAFETY: main thread; the memory lives until the table is closed, and is emptied only once the rows whose values
        // are in it have been stored. After an error in between, Postgres itself sets the memory to go on with.
        let values = unsafe {
            let before = pg_sys::MemoryContextSwitchTo(self.memory);
            let values = make();
            pg_sys::MemoryContextSwitchTo(before);
            values
        };
        self.add(&values);
    }

    /// Closes the table. The rows are visible to the statements that follow; the lock stays until the transaction ends.
    pub fn close(mut self) {
        self.store();
        // SAFETY: main thread, in the transaction that opened the table; nothing of it is used after this.
        unsafe {
            pg_sys::ExecCloseIndices(self.target);
            for slot in self.slots {
                pg_sys::ExecDropSingleTupleTableSlot(slot);
            }
            pg_sys::FreeExecutorState(self.state);
            pg_sys::table_close(self.relation, pg_sys::NoLock as i32);
            pg_sys::CommandCounterIncrement();
        }
    }

    /// A slot that holds no row of the batch.
    fn free_slot(&mut self) -> *mut pg_sys::TupleTableSlot {
        if let Some(slot) = self.slots.get(self.waiting) {
            return *slot;
        }
        // SAFETY: main thread, in the transaction that opened the table. The slot lives as long as the state does.
        let slot = unsafe {
            let before = pg_sys::MemoryContextSwitchTo((*self.state).es_query_cxt);
            let slot = pg_sys::table_slot_create(self.relation, null_mut());
            pg_sys::MemoryContextSwitchTo(before);
            slot
        };
        self.slots.push(slot);
        slot
    }

    /// Stores the rows that wait, and gives them to every index.
    fn store(&mut self) {
        let Self { relation, state, target, memory, .. } = *self;
        let rows = &mut self.slots[..self.waiting];
        if rows.is_empty() {
            return;
        }
        // SAFETY: main thread, in the transaction that opened the table; each slot holds a row of it, with values that
        // live. What Postgres makes on the way lives in `memory`, which nothing points into once the slots are empty. An
        // error leaves the closure by a jump, over frames that hold nothing that would have to be dropped.
        unsafe {
            let before = pg_sys::MemoryContextSwitchTo(memory);
            pg_sys::ffi::pg_guard_ffi_boundary(|| postgres::store(relation, target, state, rows));
            pg_sys::MemoryContextSwitchTo(before);
            pg_sys::MemoryContextReset(memory);
        }
        (self.waiting, self.bytes) = (0, 0);
    }
}

/// # Safety
///
/// The relation must be open.
unsafe fn places(relation: pg_sys::Relation, columns: &[Column]) -> Result<Vec<Place>, Error> {
    // SAFETY: the descriptor lives as long as the relation is open.
    let (positions, known) =
        unsafe { (positions(relation, columns)?, PgTupleDesc::from_pg_unchecked((*relation).rd_att)) };
    let has_length = |position: usize| known.get(position).is_some_and(|column| column.attlen == -1);
    Ok(positions.into_iter().map(|position| Place { position, has_length: has_length(position) }).collect())
}

/// Functions of Postgres as they are. pgrx' own bindings catch errors at each call, which for rows without number costs more
/// than some of the calls.
mod postgres {
    use super::{null_mut, pg_sys};

    unsafe extern "C-unwind" {
        fn ExecConstraints(
            target: *mut pg_sys::ResultRelInfo,
            slot: *mut pg_sys::TupleTableSlot,
            state: *mut pg_sys::EState,
        );
        fn simple_table_tuple_insert(relation: pg_sys::Relation, slot: *mut pg_sys::TupleTableSlot);
        fn GetCurrentCommandId(used: bool) -> pg_sys::CommandId;
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        fn ExecInsertIndexTuples(
            target: *mut pg_sys::ResultRelInfo,
            slot: *mut pg_sys::TupleTableSlot,
            state: *mut pg_sys::EState,
            update: bool,
            no_duplicate_error: bool,
            conflict: *mut bool,
            arbiters: *mut pg_sys::List,
        ) -> *mut pg_sys::List;
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        fn ExecInsertIndexTuples(
            target: *mut pg_sys::ResultRelInfo,
            slot: *mut pg_sys::TupleTableSlot,
            state: *mut pg_sys::EState,
            update: bool,
            no_duplicate_error: bool,
            conflict: *mut bool,
            arbiters: *mut pg_sys::List,
            only_summarizing: bool,
        ) -> *mut pg_sys::List;
    }

    /// Stores rows and empties their slots.
    ///
    /// # Safety
    ///
    /// Within a guard of pgrx', with the table and its indexes open and a row of the table in each slot.
    pub unsafe fn store(
        relation: pg_sys::Relation,
        target: *mut pg_sys::ResultRelInfo,
        state: *mut pg_sys::EState,
        rows: &mut [*mut pg_sys::TupleTableSlot],
    ) {
        // SAFETY: as the caller promises. No arbiters, no speculation: a duplicate key raises its error.
        unsafe {
            for slot in rows.iter() {
                ExecConstraints(target, *slot, state);
            }
            match ((*(*relation).rd_tableam).multi_insert, &mut *rows) {
                (Some(insert), [_, _, ..]) => {
                    let command = GetCurrentCommandId(true);
                    insert(relation, rows.as_mut_ptr(), rows.len() as i32, command, 0, null_mut());
                }
                _ => rows.iter().for_each(|slot| simple_table_tuple_insert(relation, *slot)),
            }
            for slot in rows.iter().copied() {
                #[cfg(any(feature = "pg14", feature = "pg15"))]
                ExecInsertIndexTuples(target, slot, state, false, false, null_mut(), null_mut());
                #[cfg(not(any(feature = "pg14", feature = "pg15")))]
                ExecInsertIndexTuples(target, slot, state, false, false, null_mut(), null_mut(), false);
                if let Some(clear) = (*(*slot).tts_ops).clear {
                    clear(slot);
                }
            }
        }
    }
}
