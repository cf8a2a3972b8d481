//! Reading what became of a call, and changing its course: wait, result, status, cancel, replay.

use bytes::Bytes;
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::arguments::{patience, required, viewer};
use super::row;
use super::watch::{Patience, Watch};
use crate::domain::batch::{self, Upshot};
use crate::domain::call::Final;
use crate::error::Error;
use crate::store::calls::{self, Place, Viewer};
use crate::store::composite::ResponseRow;
use crate::store::datum::Text;
use crate::store::failed_items;
use crate::store::owner;
use crate::store::replays::{self, DeadLetters, Replay};
use crate::store::transaction::under_snapshot;
use crate::worker::latch::Waited;
use crate::worker::queued;
use crate::worker::wake::{self, reason};

/// The call as it stands now.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn result(id: Option<i64>) -> Result<Option<ResponseRow>, ErrorReport> {
    let Some(id) = id else { return Ok(None) };
    Ok(response(id, viewer())?)
}

/// The state of a call.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn status(id: Option<i64>) -> Result<Option<String>, ErrorReport> {
    let Some(id) = id else { return Ok(None) };
    let glance = glance(id, viewer())?;
    Ok(glance.map(|glance| glance.state))
}

/// Waits until a call has ended, or the time is up.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn wait(
    id: Option<i64>,
    timeout: default!(Option<Interval>, "'30 seconds'"),
) -> Result<Option<ResponseRow>, ErrorReport> {
    let (id, viewer) = (required(id, "id")?, viewer());
    let patience = Patience::of(Some(patience("timeout", timeout)?));
    let place = awaitable(id, viewer)?;
    match wait_for_end(id, viewer, place, patience)? {
        Some(response) => Ok(Some(response)),
        None => Ok(response(id, viewer)?),
    }
}

/// Where a call stands for which a session is to wait. One that this very transaction has queued is sent only after it.
pub(super) fn awaitable(id: i64, viewer: Viewer) -> Result<Place, Error> {
    let place = under_snapshot(|| calls::place(id, viewer, None))?.ok_or(Error::NoSuchCall(id))?;
    if place.queued_here { Err(Error::QueuedHere(id)) } else { Ok(place) }
}

/// Blocks on the latch until the dispatcher says that the call has ended. `None` when the time is up.
fn wait_for_end(id: i64, viewer: Viewer, mut place: Place, patience: Patience) -> Result<Option<ResponseRow>, Error> {
    // Made before the first look, so that an end between the two is not missed.
    let watch = Watch::over(id, patience, "edge.wait");
    loop {
        if let Some(ended) = under_snapshot(|| calls::ended(id, place.slot))? {
            return row::of_ended(id, &place, ended).map(Some);
        }
        match watch.wait()? {
            None => return Ok(None),
            Some(Waited::Woken) => {}
            // Retention may have carried it over.
            Some(Waited::InVain) => {
                let moved = under_snapshot(|| calls::place(id, viewer, Some(place.slot)))?;
                let Some(moved) = moved else { return Ok(None) };
                place = moved;
            }
        }
    }
}

/// Asks that a call is not made, or broken off.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn cancel(id: Option<i64>) -> Result<bool, ErrorReport> {
    let id = required(id, "id")?;
    let Some(glance) = glance(id, viewer())? else { return Ok(false) };
    if Final::from_name(&glance.state).is_some() {
        return Ok(false);
    }
    owner::acting(|| calls::ask_to_cancel(id))?;
    wake::at_commit(reason::CALLS | reason::CANCEL);
    Ok(true)
}

/// Queues an ended call anew.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn replay(id: Option<i64>) -> Result<i64, ErrorReport> {
    let id = required(id, "id")?;
    let glance = glance(id, viewer())?.ok_or(Error::NoSuchCall(id))?;
    if Final::from_name(&glance.state).is_none() {
        return Err(Error::NotEnded(id).into());
    }
    let copy = owner::acting(|| copy(id, glance.owner, Replay::Asked))?.ok_or(Error::NoSuchCall(id))?;
    wake::at_commit(reason::CALLS);
    Ok(copy)
}

/// Queues dead letters anew and tells how many.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn replay_dead(
    endpoint: default!(Option<Text>, "NULL"),
    since: default!(Option<TimestampWithTimeZone>, "NULL"),
    max_calls: default!(Option<i32>, "NULL"),
) -> Result<i64, ErrorReport> {
    if let Some(given) = max_calls.filter(|given| *given < 0) {
        let (argument, wanted) = ("max_calls", "zero or more");
        return Err(Error::OutOfRange { argument, wanted, given: given.to_string() }.into());
    }
    let endpoint = endpoint.map(|endpoint| endpoint.read("endpoint")).transpose()?;
    let viewer = viewer();
    let limit = max_calls.map(i64::from);
    let wanted =
        DeadLetters { viewer: viewer.role, sees_all: viewer.sees_all, endpoint: endpoint.as_deref(), since, limit };
    let replayed = owner::acting(|| {
        let mut replayed: i64 = 0;
        for id in replays::dead_letters(&wanted)? {
            let owner = calls::glance(id, viewer)?.map_or(viewer.role, |glance| glance.owner);
            replayed += i64::from(copy(id, owner, Replay::DeadLetter)?.is_some());
        }
        Ok(replayed)
    })?;
    if replayed > 0 {
        wake::at_commit(reason::CALLS);
    }
    Ok(replayed)
}

/// Queues a copy if the call's owner may have one more.
fn copy(id: i64, owner: pg_sys::Oid, why: Replay) -> Result<Option<i64>, Error> {
    queued::may_queue(owner)?;
    let body = failed_items(id)?;
    let copy = replays::replay(id, owner, why, body.as_deref())?;
    if copy.is_some() {
        queued::note(owner);
    }
    Ok(copy)
}

/// The list of the items that have failed, of a call that says so of some of them: only those are sent again.
fn failed_items(id: i64) -> Result<Option<Bytes>, Error> {
    let Some((sent, answer)) = failed_items::of(id)? else { return Ok(None) };
    match batch::upshot(Some(&sent), &answer) {
        Upshot::Again { body, .. } => Ok(Some(body)),
        Upshot::Plain | Upshot::Halved(_) | Upshot::Unclear(_) => Ok(None),
    }
}

/// The call as it stands now. Of one that has ended nothing but its request and its response is read.
fn response(id: i64, viewer: Viewer) -> Result<Option<ResponseRow>, Error> {
    match response_of_ended(id, viewer)? {
        Some(response) => Ok(Some(response)),
        None => owner::reading(|| under_snapshot(|| calls::response(id, viewer))),
    }
}

/// The call as `edge.response`, if it has ended and the viewer may see it.
fn response_of_ended(id: i64, viewer: Viewer) -> Result<Option<ResponseRow>, Error> {
    under_snapshot(|| {
        let Some(place) = calls::place(id, viewer, None)? else { return Ok(None) };
        let Some(ended) = calls::ended(id, place.slot)? else { return Ok(None) };
        row::of_ended(id, &place, ended).map(Some)
    })
}

fn glance(id: i64, viewer: Viewer) -> Result<Option<calls::Glance>, Error> {
    owner::reading(|| under_snapshot(|| calls::glance(id, viewer)))
}
