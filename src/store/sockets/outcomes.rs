//! What becomes of messages.

use std::time::SystemTime;

use pgrx::prelude::*;

use crate::error::Error;
use crate::store::slots::{self, WS_OUTCOMES};
use crate::store::table::{Column, Rows, value};
use crate::store::time::to_timestamp;

/// What became of a message.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub message: i64,
    /// That of the message.
    pub slot: i16,
    pub fate: Fate,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Sent,
    /// It never will be; says why.
    Failed(&'static str),
}

/// What is written of it, in the table's order.
const OUTCOME: [Column; 5] = [
    (c"message_id", pg_sys::INT8OID),
    (c"at", pg_sys::TIMESTAMPTZOID),
    (c"slot", pg_sys::INT2OID),
    (c"state", pg_sys::CHAROID),
    (c"error", pg_sys::TEXTOID),
];

/// Writes what became of messages.
pub fn insert(outcomes: &[Outcome], at: SystemTime) -> Result<(), Error> {
    let at = to_timestamp(at);
    for slot in 0..slots::SLOTS {
        let mut here = outcomes.iter().filter(|outcome| outcome.slot == slot).peekable();
        if here.peek().is_none() {
            continue;
        }
        let mut rows = Rows::open(slots::of(WS_OUTCOMES, slot).ok_or(Error::Malformed)?, &OUTCOME)?;
        for outcome in here {
            let (state, error) = match &outcome.fate {
                Fate::Sent => (b's', None),
                Fate::Failed(why) => (b'f', Some(*why)),
            };
            rows.add(&[value(outcome.message), value(at), value(slot), value(state.cast_signed()), value(error)]);
        }
        rows.close();
    }
    Ok(())
}
