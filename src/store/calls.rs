//! Reading calls, and asking for one to be cancelled.

use pgrx::prelude::*;
use pgrx::spi::SpiClient;

use super::datum::ResponseRow;
use super::statement::statements;
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

    ORIGIN(INT8OID, OIDOID, BOOLOID) = "
        select xmin::text::bigint from edge_store.request where id = $1 and (owner = $2 or $3)";

    IS_FINAL(INT8OID) = "select from edge_store.response where call_id = $1";

    CANCEL(INT8OID) = "
        insert into edge_store.cancellation (call_id) values ($1) on conflict do nothing";

    MAY_EXECUTE(OIDOID, OIDOID) = "
        select pg_catalog.has_function_privilege($1, $2, 'execute'),
               proc.pronargs = 1 and proc.proargtypes[0] = pg_catalog.to_regtype('edge.response') and proc.prokind = 'f' and not proc.proretset,
               $2::regprocedure::text
        from pg_catalog.pg_proc as proc where proc.oid = $2";
}

/// The call as `edge.response`, if the viewer may see it.
pub fn response(id: i64, viewer: Viewer) -> Result<Option<ResponseRow>, Error> {
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

/// Whether the transaction that asks has queued the call itself, if the viewer may see it.
pub fn queued_here(id: i64, viewer: Viewer) -> Result<Option<bool>, Error> {
    Spi::connect(|client| {
        let args = [id.into(), viewer.role.into(), viewer.sees_all.into()];
        let rows = ORIGIN.with(|statement| statement.read(client, &args))?;
        if rows.is_empty() {
            return Ok(None);
        }
        Ok(rows.first().get_one::<i64>()?.map(is_running_transaction))
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
}

/// Looks at a function on behalf of a role.
pub fn callback(role: pg_sys::Oid, function: pg_sys::Oid) -> Result<Option<Callback>, Error> {
    Spi::connect(|client| {
        let rows = MAY_EXECUTE.with(|statement| statement.read(client, &[role.into(), function.into()]))?;
        if rows.is_empty() {
            return Ok(None);
        }
        let row = rows.first();
        Ok(Some(Callback {
            executable: row.get(1)?.unwrap_or(false),
            fits: row.get(2)?.unwrap_or(false),
            name: row.get(3)?.unwrap_or_default(),
        }))
    })
}

/// Whether a row's xmin is the transaction that runs now, or a subtransaction of it.
#[allow(unsafe_code, reason = "pgrx has no wrapper for it")]
fn is_running_transaction(xmin: i64) -> bool {
    let Ok(xid) = u32::try_from(xmin) else { return false };
    // SAFETY: main thread, inside a transaction; any 32-bit value is a valid argument.
    unsafe { pg_sys::TransactionIdIsCurrentTransactionId(pg_sys::TransactionId::from(xid)) }
}
