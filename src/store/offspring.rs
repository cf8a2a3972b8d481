//! Calls that the dispatcher makes of others: with a part of the items of a call's list.

use std::time::SystemTime;

use pgrx::prelude::*;

use super::queue;
use super::statement::statements;
use super::time::to_timestamp;
use crate::domain::batch::Round;
use crate::domain::call::CallId;
use crate::error::Error;

/// A call of which others are made.
#[derive(Clone, Copy, Debug)]
pub struct Parent {
    pub call: CallId,
    pub slot: i16,
}

/// What is different from its parent.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    pub body: &'a [u8],
    pub round: Round,
    pub run_at: Option<SystemTime>,
}

/// Whether the parent counts as replayed by the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does: it failed, and is no dead letter.
    InPlaceOfParent,
    /// It ended by itself.
    BesideParent,
}

statements! {
    // A key that the user gave names the whole of the parent's items, so a part gets a key of its own.
    INSERT(INT8OID, INT8OID, INT2OID, INT2OID, BYTEAOID, INT2OID, TIMESTAMPTZOID) = "
        insert into edge_store.request
            (id, queued_at, slot, owner, method, url, headers, body, timeout_ms, max_attempts, on_complete,
             metadata, run_at, endpoint, round, replay_of)
        select $1, clock_timestamp(), $4, owner, method, url, headers, $5, timeout_ms, max_attempts, on_complete,
               metadata, $7, endpoint, $6, id
        from edge_store.request where id = $2 and slot = $3
        returning id";

    LINK(INT8OID, INT8OID, INT2OID) = "
        insert into edge_store.replay (call_id, replayed_as, slot, as_dead_letter) values ($1, $2, $3, false)";
}

/// Makes a call of another and gives its id. Its owner may have as many as he likes of these: none of his items is lost.
pub fn insert(parent: Parent, part: &Part<'_>, standing: Standing, current_slot: i16) -> Result<i64, Error> {
    let id = queue::next_id()?;
    Spi::connect_mut(|client| {
        let args = [
            id.into(),
            parent.call.0.into(),
            parent.slot.into(),
            current_slot.into(),
            part.body.into(),
            part.round.0.into(),
            part.run_at.map(to_timestamp).into(),
        ];
        if INSERT.with(|statement| statement.write(client, &args))?.is_empty() {
            return Err(Error::Malformed);
        }
        if standing == Standing::InPlaceOfParent {
            let args = [parent.call.0.into(), id.into(), parent.slot.into()];
            LINK.with(|statement| statement.write(client, &args))?;
        }
        Ok(id)
    })
}
