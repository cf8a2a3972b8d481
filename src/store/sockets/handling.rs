//! Messages that are to be given to a function, as runners see them.

use pgrx::prelude::*;

use crate::domain::callback::Past;
use crate::error::Error;
use crate::store::composite::{MessageRow, field};
use crate::store::datum::Jsonb;
use crate::store::invocation::Invocation;
use crate::store::statement::statements;

/// A message that is this transaction's alone.
#[derive(Clone, Debug)]
pub struct TakenMessage {
    pub message: i64,
    pub connection: i64,
    pub slot: i16,
    pub past: Past,
}

statements! {
    // None is passed over that somebody else has locked: messages are handled in their order.
    FIRST(OIDOID) = "select message_id from edge_store.ws_handling where owner = $1 order by message_id limit 1";

    // Locking a row writes xmax, and a transaction that ends without a commit leaves it there. The subquery reads it before
    // this statement's own lock.
    TAKE(INT8OID) = "
        select message_id, connection_id, slot, runs, was_locked
        from (select message_id, connection_id, slot, runs, xmax::text <> '0' as was_locked
              from edge_store.ws_handling where message_id = $1) as first
        for update skip locked";

    COUNT_RUN(INT8OID, INT2OID) = "update edge_store.ws_handling set runs = $2 where message_id = $1";

    // A crash of the server may have taken along the trace of a run, so from now on every run is counted.
    COUNT_FROM_NOW_ON() = "update edge_store.ws_handling set runs = 0 where runs is null";

    DELETE(INT8OID) = "delete from edge_store.ws_handling where message_id = $1";

    RECORD_ERROR(INT8OID, INT2OID, TEXTOID) = "
        insert into edge_store.ws_outcome (message_id, at, slot, state, error)
        values ($1, pg_catalog.clock_timestamp(), $2, 'e', $3)";

    // It is looked for by its name, and run only as long as it belongs to whom it belonged to when it was named.
    INVOCATION(INT8OID) = "
        select proc.oid, proc.prorettype, pg_catalog.to_regtype('edge.ws_message')::oid
        from edge_store.ws_connection as connection
        join pg_catalog.pg_proc as proc on proc.oid = pg_catalog.to_regprocedure(connection.on_message)
        where connection.id = $1 and proc.proowner = connection.on_message_of and proc.prokind = 'f' and not proc.proretset
          and proc.pronargs = 1 and proc.proargtypes[0] = pg_catalog.to_regtype('edge.ws_message')";

    MESSAGE(INT8OID, INT8OID, INT2OID, OIDOID) = "
        select connection.name, message.kind, message.data, message.data_bytes, message.received_at
        from edge_store.ws_incoming as message join edge_store.ws_connection as connection on connection.id = message.connection_id
        where message.connection_id = $1 and message.id = $2 and message.slot = $3 and message.owner = $4
          and connection.owner = $4";
}

/// The next message for a function of a role, locked until the transaction ends.
pub fn next(role: pg_sys::Oid) -> Result<Option<TakenMessage>, Error> {
    Spi::connect_mut(|client| {
        let Some(first) = FIRST
            .with(|statement| statement.write(client, &[role.into()]))?
            .next()
            .map(|row| row.get::<i64>(1))
            .transpose()?
            .flatten()
        else {
            return Ok(None);
        };
        let Some(row) = TAKE.with(|statement| statement.write(client, &[first.into()]))?.next() else {
            return Ok(None);
        };
        Ok(Some(TakenMessage {
            message: row.get(1)?.ok_or(Error::Malformed)?,
            connection: row.get(2)?.ok_or(Error::Malformed)?,
            slot: row.get(3)?.ok_or(Error::Malformed)?,
            past: match (row.get::<i16>(4)?, row.get::<bool>(5)?) {
                (Some(runs), _) => Past::Counted(u32::from(runs.unsigned_abs())),
                (None, Some(true)) => Past::Tried,
                (None, _) => Past::New,
            },
        }))
    })
}

/// Notes that a message has been handled. It comes back if the transaction does not commit.
pub fn forget(message: i64) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        DELETE.with(|statement| statement.write(client, &[message.into()]))?;
        Ok(())
    })
}

/// Notes that a message is about to be handled, for the so-manieth time.
pub fn count_run(message: i64, runs: u32) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        let runs = i16::try_from(runs).unwrap_or(i16::MAX);
        COUNT_RUN.with(|statement| statement.write(client, &[message.into(), runs.into()]))?;
        Ok(())
    })
}

/// Has every run for the messages that wait counted, also their first.
pub fn count_from_now_on() -> Result<(), Error> {
    Spi::connect_mut(|client| {
        COUNT_FROM_NOW_ON.with(|statement| statement.write(client, &[]))?;
        Ok(())
    })
}

/// Writes down why the function of a message has failed, which is not run for it again.
pub fn record_error(taken: &TakenMessage, sqlstate: &str, error: &str) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        DELETE.with(|statement| statement.write(client, &[taken.message.into()]))?;
        let said = format!("on_message failed ({sqlstate}): {error}");
        RECORD_ERROR
            .with(|statement| statement.write(client, &[taken.message.into(), taken.slot.into(), said.into()]))?;
        Ok(())
    })
}

/// How the function of a connection is called; `None` where it has none, or that does not exist any more.
pub fn invocation(connection: i64) -> Result<Option<Invocation>, Error> {
    Spi::connect_mut(|client| {
        let Some(row) = INVOCATION.with(|statement| statement.write(client, &[connection.into()]))?.next() else {
            return Ok(None);
        };
        let (Some(function), Some(returns), Some(argument)) = (row.get(1)?, row.get(2)?, row.get(3)?) else {
            return Ok(None);
        };
        Ok(Some(Invocation { function, returns, argument }))
    })
}

/// A message of a role, as `edge.ws_message`.
pub fn message(taken: &TakenMessage, role: pg_sys::Oid) -> Result<Option<MessageRow>, Error> {
    let args = [taken.connection.into(), taken.message.into(), taken.slot.into(), role.into()];
    let read = Spi::connect_mut(|client| {
        let Some(row) = MESSAGE.with(|statement| statement.write(client, &args))?.next() else { return Ok(None) };
        let kind = if row.get::<i8>(2)? == Some(b'b'.cast_signed()) { "bytes" } else { "text" };
        let at: Option<TimestampWithTimeZone> = row.get(5)?;
        Ok::<_, Error>(Some((row.get::<String>(1)?, kind, row.get::<String>(3)?, row.get::<Vec<u8>>(4)?, at)))
    })?;
    let Some((connection, kind, data, data_bytes, at)) = read else { return Ok(None) };
    let json = data.as_deref().and_then(Jsonb::parse);
    let row = MessageRow::of(&[
        field(Some(taken.message)),
        field(connection),
        field(Some("in".to_owned())),
        field(Some(kind.to_owned())),
        field(data),
        field(data_bytes),
        field(json),
        field(at),
        field(Some("received".to_owned())),
        field(None::<String>),
        field(Some(taken.connection)),
    ])?;
    Ok(Some(row))
}
