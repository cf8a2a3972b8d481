//! Callbacks that are to be run, as dispatchers and runners see them.

use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;

use super::datum::ResponseRow;
use super::statement::statements;
use crate::error::Error;

/// A callback taken to be run in this transaction.
#[derive(Clone, Debug)]
pub struct Taken {
    pub call: i64,
    pub slot: i16,
    pub function: pg_sys::Oid,
}

/// A role with callbacks to be run.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    pub role: pg_sys::Oid,
    pub can_login: bool,
    /// The call whose callback is the role's next one.
    pub first: i64,
}

statements! {
    OWNERS() = "
        select callback.owner, role.rolcanlogin, min(callback.call_id)
        from edge_store.callback join pg_catalog.pg_roles as role on role.oid = callback.owner
        group by callback.owner, role.rolcanlogin
        order by 3";

    ORPHANS() = "
        delete from edge_store.callback
        where not exists (select from pg_catalog.pg_roles as role where role.oid = callback.owner)";

    HAS_ORPHANS() = "
        select from edge_store.callback
        where not exists (select from pg_catalog.pg_roles as role where role.oid = callback.owner) limit 1";

    NEXT(OIDOID) = "select call_id, slot, function from edge_store.callback where owner = $1 order by call_id
                    limit 1 for update skip locked";

    DELETE(INT8OID) = "delete from edge_store.callback where call_id = $1";

    RECORD_ERROR(INT8OID, OIDOID, OIDOID, INT2OID, TEXTOID, TEXTOID) = "
        insert into edge_store.callback_error (call_id, owner, function, at, slot, sqlstate, error)
        values ($1, $2, $3, pg_catalog.clock_timestamp(), $4, $5, $6)";

    INVOCATION(OIDOID) = "
        select pg_catalog.format('select %I.%I($1)', schema.nspname, proc.proname), pg_catalog.to_regtype('edge.response')::oid
        from pg_catalog.pg_proc as proc join pg_catalog.pg_namespace as schema on schema.oid = proc.pronamespace
        where proc.oid = $1";
}

/// The roles that have callbacks to be run.
pub fn owners() -> Result<Vec<Owner>, Error> {
    Spi::connect(|client| {
        let rows = OWNERS.with(|statement| statement.read(client, &[]))?;
        rows.map(|row| {
            let role = row.get(1)?.ok_or(Error::Malformed)?;
            Ok(Owner { role, can_login: row.get(2)?.unwrap_or(false), first: row.get(3)?.unwrap_or(0) })
        })
        .collect()
    })
}

/// Forgets callbacks of roles that have been dropped: nobody is left to run them as.
pub fn forget_orphans() -> Result<(), Error> {
    let any =
        Spi::connect(|client| Ok::<_, Error>(!HAS_ORPHANS.with(|statement| statement.read(client, &[]))?.is_empty()))?;
    if !any {
        return Ok(());
    }
    Spi::connect_mut(|client| {
        ORPHANS.with(|statement| statement.write(client, &[]))?;
        Ok(())
    })
}

/// Takes the next callback of a role out of the table. It comes back if the transaction does not commit.
pub fn take(role: pg_sys::Oid) -> Result<Option<Taken>, Error> {
    Spi::connect_mut(|client| {
        let rows = NEXT.with(|statement| statement.write(client, &[role.into()]))?;
        if rows.is_empty() {
            return Ok(None);
        }
        let row = rows.first();
        let taken = Taken {
            call: row.get(1)?.ok_or(Error::Malformed)?,
            slot: row.get(2)?.ok_or(Error::Malformed)?,
            function: row.get(3)?.ok_or(Error::Malformed)?,
        };
        DELETE.with(|statement| statement.write(client, &[taken.call.into()]))?;
        Ok(Some(taken))
    })
}

/// Forgets a callback that failed and writes down why.
pub fn record_error(role: pg_sys::Oid, taken: &Taken, sqlstate: &str, error: &str) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        DELETE.with(|statement| statement.write(client, &[taken.call.into()]))?;
        let args =
            [taken.call.into(), role.into(), taken.function.into(), taken.slot.into(), sqlstate.into(), error.into()];
        RECORD_ERROR.with(|statement| statement.write(client, &args))?;
        Ok(())
    })
}

/// How a function is called, and the type of its argument.
pub struct Invocation {
    pub sql: String,
    pub argument: pg_sys::Oid,
}

/// How a function is called; `None` where it no longer exists.
pub fn invocation(function: pg_sys::Oid) -> Result<Option<Invocation>, Error> {
    Spi::connect_mut(|client| {
        let rows = INVOCATION.with(|statement| statement.write(client, &[function.into()]))?;
        if rows.is_empty() {
            return Ok(None);
        }
        let row = rows.first();
        let (Some(sql), Some(argument)) = (row.get(1)?, row.get(2)?) else { return Ok(None) };
        Ok(Some(Invocation { sql, argument }))
    })
}

/// Calls a user's function with a response, as whoever is the current user.
#[allow(unsafe_code, reason = "a composite value with its type")]
pub fn invoke(invocation: &Invocation, response: ResponseRow) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        // SAFETY: the datum is a composite of the type edge.response, whose oid `argument` is.
        let argument = unsafe { DatumWithOid::new(response, invocation.argument) };
        client.update(invocation.sql.as_str(), None, &[argument])?;
        Ok(())
    })
}
