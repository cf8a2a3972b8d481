//! Reading calls, and asking for one to be cancelled.

use pgrx::prelude::*;
use pgrx::spi::SpiClient;

use super::by_key::{self, Row};
use super::composite::ResponseRow;
use super::retention;
use super::slots::{self, REQUESTS, RESPONSES, SLOTS};
use super::statement::statements;
use super::table::Column;
use super::transaction::under_snapshot;
use crate::domain::call::Final;
use crate::error::Error;

/// Whose calls may be seen.
#[derive(Clone, Copy)]
pub struct Viewer {
    pub role: pg_sys::Oid,
    /// A superuser.
    pub sees_all: bool,
}

/// What is known of a call at a glance.
pub struct Glance {
    pub state: String,
    pub owner: pg_sys::Oid,
}

statements! {
    // Which slot holds a call is asked by itself: a statement that knows the slot opens one partition of each table, one
    // that does not opens all of them, which takes longer than anything else in it.
    // And nothing more is read of a call that is not the viewer's than of one that does not exist.
    SLOT(INT8OID, OIDOID, BOOLOID) = "select slot from edge_store.request where id = $1 and (owner = $2 or $3)";

    RESPONSE(INT8OID, INT2OID, OIDOID, BOOLOID) = "
        select row(id, state, status_code, edge_store.headers_json(headers), edge_store.content_type(headers),
                   edge_store.body_text(headers, body_bytes), body_bytes, edge_store.body_json(headers, body_bytes),
                   error_class, error, attempts, queued_at, started_at, finished_at, finished_at - started_at)::edge.response
        from edge_store.call
        where id = $1 and slot = $2 and (owner = $3 or $4)";

    GLANCE(INT8OID, INT2OID, OIDOID, BOOLOID) = "
        select state, owner from edge_store.call where id = $1 and slot = $2 and (owner = $3 or $4)";

    IS_FINAL(INT8OID) = "select from edge_store.response where call_id = $1";

    CANCEL(INT8OID) = "
        insert into edge_store.cancellation (call_id) values ($1) on conflict do nothing";

    MAY_EXECUTE(OIDOID, OIDOID, TEXTOID) = "
        select pg_catalog.has_function_privilege($1, $2, 'execute'),
               proc.pronargs = 1 and proc.proargtypes[0] = pg_catalog.to_regtype($3) and proc.prokind = 'f' and not proc.proretset,
               $2::regprocedure::text, proc.proowner
        from pg_catalog.pg_proc as proc where proc.oid = $2";
}

/// The call as `edge.response`, if the viewer may see it.
pub fn response(id: i64, viewer: Viewer) -> Result<Option<ResponseRow>, Error> {
    twice(|| response_now(id, viewer))
}

fn response_now(id: i64, viewer: Viewer) -> Result<Option<ResponseRow>, Error> {
    Spi::connect(|client| {
        let Some(slot) = slot(client, id, viewer)? else { return Ok(None) };
        let args = [id.into(), slot.into(), viewer.role.into(), viewer.sees_all.into()];
        let rows = RESPONSE.with(|statement| statement.read(client, &args))?;
        if rows.is_empty() {
            return Ok(None);
        }
        Ok(rows.first().get_datum_by_ordinal(1)?.map(ResponseRow::out_of_spi))
    })
}

/// State and owner of a call, if the viewer may see it.
pub fn glance(id: i64, viewer: Viewer) -> Result<Option<Glance>, Error> {
    twice(|| glance_now(id, viewer))
}

fn glance_now(id: i64, viewer: Viewer) -> Result<Option<Glance>, Error> {
    Spi::connect(|client| {
        let Some(slot) = slot(client, id, viewer)? else { return Ok(None) };
        let args = [id.into(), slot.into(), viewer.role.into(), viewer.sees_all.into()];
        let rows = GLANCE.with(|statement| statement.read(client, &args))?;
        if rows.is_empty() {
            return Ok(None);
        }
        let row = rows.first();
        let (Some(state), Some(owner)) = (row.get(1)?, row.get(2)?) else { return Ok(None) };
        Ok(Some(Glance { state, owner }))
    })
}

/// Where a call stands in the queue.
pub struct Place {
    /// It changes when retention carries the call over, so it holds for the present snapshot only.
    pub slot: i16,
    pub queued_at: TimestampWithTimeZone,
    /// The transaction that asks has queued the call itself.
    pub queued_here: bool,
    owner: pg_sys::Oid,
}

/// What is known of a call that has ended.
pub struct Ended {
    pub state: &'static str,
    pub status_code: Option<i32>,
    pub headers: Option<String>,
    pub body: Option<Vec<u8>>,
    pub error_class: Option<String>,
    pub error: Option<String>,
    pub attempts: i32,
    pub started_at: Option<TimestampWithTimeZone>,
    pub finished_at: TimestampWithTimeZone,
}

/// Finds a call, if the viewer may see it. `guess` is the slot that is looked into first.
pub fn place(id: i64, viewer: Viewer, guess: Option<i16>) -> Result<Option<Place>, Error> {
    let guess = guess.map_or_else(retention::recent_slot, Ok)?;
    twice(|| place_now(id, viewer, guess))
}

/// Looks again, under a snapshot of its own, where nothing was found: a slot that retention truncates while somebody waits
/// for it is empty to every snapshot, and what has moved out of it is not to be seen under one from before.
fn twice<T>(look: impl Fn() -> Result<Option<T>, Error>) -> Result<Option<T>, Error> {
    match look()? {
        Some(found) => Ok(Some(found)),
        None => under_snapshot(look),
    }
}

fn place_now(id: i64, viewer: Viewer, guess: i16) -> Result<Option<Place>, Error> {
    for slot in std::iter::once(guess).chain((0..SLOTS).filter(|slot| *slot != guess)) {
        let table = slots::of(REQUESTS, slot).ok_or(Error::Malformed)?;
        if let Some(place) = by_key::first(table, id, &PLACE, place_of)? {
            return Ok(Some(place).filter(|place| viewer.sees_all || place.owner == viewer.role));
        }
    }
    Ok(None)
}

/// How a call ended that stands in a slot; `None` while it has not.
pub fn ended(id: i64, slot: i16) -> Result<Option<Ended>, Error> {
    by_key::first(slots::of(RESPONSES, slot).ok_or(Error::Malformed)?, id, &ENDED, ended_of)
}

/// What is read of a request to find it, in the table's order.
const PLACE: [Column; 3] =
    [(c"queued_at", pg_sys::TIMESTAMPTZOID), (c"owner", pg_sys::OIDOID), (c"slot", pg_sys::INT2OID)];

fn place_of(row: &Row<'_>) -> Result<Place, Error> {
    Ok(Place {
        queued_at: row.get(0)?.ok_or(Error::Malformed)?,
        owner: row.get(1)?.ok_or(Error::Malformed)?,
        slot: row.get(2)?.ok_or(Error::Malformed)?,
        queued_here: row.is_of_running_transaction(),
    })
}

/// What is read of a response, in the table's order.
const ENDED: [Column; 9] = [
    (c"started_at", pg_sys::TIMESTAMPTZOID),
    (c"finished_at", pg_sys::TIMESTAMPTZOID),
    (c"status_code", pg_sys::INT2OID),
    (c"attempts", pg_sys::INT2OID),
    (c"state", pg_sys::CHAROID),
    (c"headers", pg_sys::TEXTOID),
    (c"body", pg_sys::BYTEAOID),
    (c"error_class", pg_sys::TEXTOID),
    (c"error", pg_sys::TEXTOID),
];

fn ended_of(row: &Row<'_>) -> Result<Ended, Error> {
    Ok(Ended {
        started_at: row.get(0)?,
        finished_at: row.get(1)?.ok_or(Error::Malformed)?,
        status_code: row.get::<i16>(2)?.map(i32::from),
        attempts: row.get::<i16>(3)?.ok_or(Error::Malformed)?.into(),
        state: row
            .get::<i8>(4)?
            .and_then(|code| Final::from_code(code.unsigned_abs()))
            .map(Final::name)
            .ok_or(Error::Malformed)?,
        headers: row.get(5)?,
        body: row.get(6)?,
        error_class: row.get(7)?,
        error: row.get(8)?,
    })
}

/// The slot of a call that the viewer may see. It changes when retention carries the call over, so it holds for the present snapshot only.
fn slot(client: &SpiClient<'_>, id: i64, viewer: Viewer) -> Result<Option<i16>, Error> {
    let args = [id.into(), viewer.role.into(), viewer.sees_all.into()];
    let rows = SLOT.with(|statement| statement.read(client, &args))?;
    if rows.is_empty() {
        return Ok(None);
    }
    Ok(rows.first().get_one::<i16>()?)
}

/// Whether the call's final outcome has been written.
pub fn is_final(id: i64) -> Result<bool, Error> {
    Spi::connect(|client| Ok(!IS_FINAL.with(|statement| statement.read(client, &[id.into()]))?.is_empty()))
}

/// Asks the dispatcher to cancel a call.
pub fn ask_to_cancel(id: i64) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        CANCEL.with(|statement| statement.write(client, &[id.into()]))?;
        Ok(())
    })
}

/// What is known of a function that is to be called back.
pub struct Callback {
    pub executable: bool,
    pub fits: bool,
    pub name: String,
    pub owner: pg_sys::Oid,
}

/// Looks at a function on behalf of a role, which is to take one argument of a type.
pub fn callback(role: pg_sys::Oid, function: pg_sys::Oid, argument: &str) -> Result<Option<Callback>, Error> {
    Spi::connect(|client| {
        let rows =
            MAY_EXECUTE.with(|statement| statement.read(client, &[role.into(), function.into(), argument.into()]))?;
        if rows.is_empty() {
            return Ok(None);
        }
        let row = rows.first();
        Ok(Some(Callback {
            executable: row.get(1)?.unwrap_or(false),
            fits: row.get(2)?.unwrap_or(false),
            name: row.get(3)?.unwrap_or_default(),
            owner: row.get(4)?.ok_or(Error::Malformed)?,
        }))
    })
}
