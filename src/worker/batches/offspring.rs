//! Calls that are made of another's items, written in the transaction in which that one ends.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::SystemTime;

use bytes::Bytes;
use pgrx::pg_sys;

use crate::domain::batch::Round;
use crate::domain::weighed::Weight;
use crate::error::Error;
use crate::store::callbacks::Callback;
use crate::store::offspring::{self, Parent, Part, Standing};
use crate::store::responses::Ending;
use crate::worker::queued;

/// Calls to be made of a call that ends.
#[derive(Clone, Debug)]
pub struct Offspring {
    pub parent: Parent,
    pub owner: pg_sys::Oid,
    /// What the parent was to call, and these are.
    pub on_complete: Option<pg_sys::Oid>,
    pub bodies: Vec<Bytes>,
    pub round: Round,
    pub run_at: Option<SystemTime>,
    pub standing: Standing,
}

impl Offspring {
    /// The callback of the parent, where these were to have it and cannot be made.
    pub fn callback_of_parent(&self) -> Option<Callback> {
        let Parent { call, slot } = self.parent;
        let function = self.on_complete.filter(|_| self.standing == Standing::InPlaceOfParent)?;
        Some(Callback { call, slot, owner: self.owner, function })
    }
}

impl Weight for Offspring {
    fn bytes(&self) -> usize {
        self.bodies.iter().map(Bytes::len).sum()
    }
}

/// The ids of the calls that were made, by the call of which.
#[derive(Debug, Default)]
pub struct Born(HashMap<i64, Vec<i64>>);

/// Writes them. The running transaction hands out their ids, so each time it is tried they are others.
pub fn write(all: &[Offspring], current_slot: i16) -> Result<Born, Error> {
    let mut born = Born::default();
    for of_one in all {
        for body in &of_one.bodies {
            let part = Part { body, round: of_one.round, run_at: of_one.run_at };
            let id = offspring::insert(of_one.parent, &part, of_one.standing, current_slot)?;
            queued::note(of_one.owner);
            born.0.entry(of_one.parent.call.0).or_default().push(id);
        }
    }
    Ok(born)
}

impl Born {
    /// The endings, with the ids of the new calls where their error is to name them.
    pub fn named<'a>(&self, endings: &'a [Ending]) -> Cow<'a, [Ending]> {
        if self.0.is_empty() {
            return Cow::Borrowed(endings);
        }
        let named = endings.iter().cloned().map(|mut ending| {
            if let (Some(ids), Some(error)) = (self.0.get(&ending.call.0), &mut ending.trace.error) {
                let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
                *error = format!("{error}: {}", ids.join(" and "));
            }
            ending
        });
        Cow::Owned(named.collect())
    }
}
