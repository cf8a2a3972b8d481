//! A trigger that has just fired.

#![allow(unsafe_code, reason = "Postgres hands it over by pointers")]

use std::ffi::CStr;
use std::marker::PhantomData;

use pgrx::prelude::*;
use pgrx::trigger_support::called_as_trigger;

use super::row::Row;
use super::transition::Transition;
use crate::domain::webhook::shape::{Event, Shape, Sight, Timing};

/// What Postgres says of the firing. It lives no longer than the call of the trigger's function.
#[derive(Clone, Copy)]
pub struct Fired<'call> {
    data: *const pg_sys::TriggerData,
    trigger: *const pg_sys::Trigger,
    call: PhantomData<&'call ()>,
}

/// What a trigger sees.
pub enum Seen<'call> {
    /// One row, as it was and as it is.
    Row { old: Option<Row<'call>>, new: Option<Row<'call>> },
    /// The rows of the statement.
    Rows { old: Option<Transition<'call>>, new: Option<Transition<'call>> },
    /// That there was a statement.
    Nothing,
}

impl<'call> Fired<'call> {
    /// `None` where the function was not called by a trigger.
    pub fn of(call: &'call pg_sys::FunctionCallInfo) -> Option<Self> {
        // SAFETY: main thread; the pointer is that of the running call, whose context says what it is.
        unsafe {
            if !called_as_trigger(*call) {
                return None;
            }
            let data: *const pg_sys::TriggerData = (**call).context.cast();
            Some(Self { data, trigger: (*data).tg_trigger, call: PhantomData })
        }
    }

    fn data(&self) -> &'call pg_sys::TriggerData {
        // SAFETY: lives as long as the call.
        unsafe { &*self.data }
    }

    fn trigger(&self) -> &'call pg_sys::Trigger {
        // SAFETY: lives as long as the call.
        unsafe { &*self.trigger }
    }

    /// Its number in the catalog. That of a partition is another than that of its parent.
    pub fn number(&self) -> pg_sys::Oid {
        self.trigger().tgoid
    }

    /// Whether it was made for a partition because its parent has it.
    pub fn is_clone(&self) -> bool {
        self.trigger().tgisclone
    }

    /// Its name.
    pub fn name(&self) -> String {
        // SAFETY: a C string that lives as long as the call.
        unsafe { CStr::from_ptr(self.trigger().tgname) }.to_string_lossy().into_owned()
    }

    /// The table that it fired on.
    pub fn relation(&self) -> pg_sys::Oid {
        // SAFETY: the relation is open for as long as the call lasts.
        unsafe { (*self.data().tg_relation).rd_id }
    }

    /// Its arguments.
    pub fn arguments(&self) -> Vec<&'call CStr> {
        let trigger = self.trigger();
        let count = usize::try_from(trigger.tgnargs).unwrap_or(0);
        // SAFETY: so many C strings, which live as long as the call.
        unsafe { (0..count).map(|place| CStr::from_ptr(*trigger.tgargs.add(place))).collect() }
    }

    /// What was done.
    pub fn event(&self) -> Event {
        match self.data().tg_event & pg_sys::TRIGGER_EVENT_OPMASK {
            pg_sys::TRIGGER_EVENT_INSERT => Event::Insert,
            pg_sys::TRIGGER_EVENT_UPDATE => Event::Update,
            pg_sys::TRIGGER_EVENT_DELETE => Event::Delete,
            _ => Event::Truncate,
        }
    }

    /// What kind of trigger it is, as far as this event is concerned.
    pub fn shape(&self) -> Shape {
        let data = self.data();
        let timing = match data.tg_event & pg_sys::TRIGGER_EVENT_TIMINGMASK {
            pg_sys::TRIGGER_EVENT_BEFORE => Timing::Before,
            pg_sys::TRIGGER_EVENT_INSTEAD => Timing::InsteadOf,
            _ => Timing::After,
        };
        let sight = match (self.is_for_row(), data.tg_oldtable.is_null(), data.tg_newtable.is_null()) {
            (true, ..) => Sight::Row,
            (false, true, true) => Sight::Statement,
            (false, false, true) => Sight::OldRows,
            (false, true, false) => Sight::NewRows,
            (false, false, false) => Sight::AllRows,
        };
        let event = self.event();
        Shape { timing, sight, updates: event == Event::Update, writes_rows: event != Event::Truncate }
    }

    /// The rows, as far as it is given any.
    pub fn seen(&self) -> Seen<'call> {
        let data = self.data();
        // SAFETY: the relation is open for as long as the call lasts, and the tuples and stores are of it.
        let descriptor = unsafe { (*data.tg_relation).rd_att };
        let row = |tuple| Row::of(tuple, descriptor);
        if self.is_for_row() {
            return match self.event() {
                Event::Insert => Seen::Row { old: None, new: row(data.tg_trigtuple) },
                Event::Update => Seen::Row { old: row(data.tg_trigtuple), new: row(data.tg_newtuple) },
                Event::Delete => Seen::Row { old: row(data.tg_trigtuple), new: None },
                Event::Truncate => Seen::Nothing,
            };
        }
        let rows = |store| Transition::open(store, descriptor);
        match (rows(data.tg_oldtable), rows(data.tg_newtable)) {
            (None, None) => Seen::Nothing,
            (old, new) => Seen::Rows { old, new },
        }
    }

    fn is_for_row(&self) -> bool {
        self.data().tg_event & pg_sys::TRIGGER_EVENT_ROW != 0
    }
}
