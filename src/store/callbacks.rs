//! Callbacks that are to be run, as dispatchers and runners see them.

use pgrx::prelude::*;

use super::statement::{column, statements};
use crate::domain::call::CallId;
use crate::domain::callback::Past;
use crate::error::Error;

/// A callback that is this transaction's alone.
#[derive(Clone, Debug)]
pub struct TakenCallback {
    pub call: i64,
    pub slot: i16,
    pub function: pg_sys::Oid,
    pub past: Past,
}

/// In the place of a call's function: its outcome is stored by the collector of pg_edge_net. No function has this oid.
pub const FOR_COLLECTOR: pg_sys::Oid = pg_sys::Oid::from_u32(1);

/// In the place of a call's function: one that was gone when the call was queued. No function has this oid.
pub const GONE: pg_sys::Oid = pg_sys::Oid::from_u32(2);

/// In the place of a role: the collector, which is none. No role has this oid either.
pub const COLLECTOR: pg_sys::Oid = pg_sys::Oid::from_u32(1);

/// A role with callbacks to be run or functions for messages, or the collector.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    pub role: pg_sys::Oid,
    pub can_login: bool,
    /// The call whose callback is the role's next one, and the message that its function is given next.
    pub first: [Option<i64>; 2],
}

impl Owner {
    /// Whether it is the collector.
    pub fn is_collector(&self) -> bool {
        self.role == COLLECTOR
    }
}

/// A callback to be run.
#[derive(Clone, Debug)]
pub struct Callback {
    pub call: CallId,
    pub slot: i16,
    pub owner: pg_sys::Oid,
    pub function: pg_sys::Oid,
}

/// Whose callbacks and messages wait. There may be millions of them, and a turn asks: each role is found by its first row in
/// the index, and the next one from there.
macro_rules! waiting {
    () => {
        "
        with recursive callers (owner) as (
            select min(callback.owner) from edge_store.callback
            union all
            select (select min(callback.owner) from edge_store.callback where callback.owner > callers.owner)
            from callers where callers.owner is not null
        ), handlers (owner) as (
            select min(ws_handling.owner) from edge_store.ws_handling
            union all
            select (select min(ws_handling.owner) from edge_store.ws_handling where ws_handling.owner > handlers.owner)
            from handlers where handlers.owner is not null
        ), waiting (owner) as (
            select owner from callers where owner is not null
            union
            select owner from handlers where owner is not null
        )"
    };
}

statements! {
    INSERT_CALLBACKS(INT8ARRAYOID, INT2ARRAYOID, OIDARRAYOID, OIDARRAYOID) = "
        insert into edge_store.callback (call_id, slot, owner, function)
        select * from unnest($1, $2, $3, $4)
        on conflict do nothing";

    OWNERS() = concat!(waiting!(), "
        select waiting.owner, role.rolcanlogin,
               (select min(call_id) from edge_store.callback where callback.owner = waiting.owner),
               (select min(message_id) from edge_store.ws_handling where ws_handling.owner = waiting.owner)
        from waiting
        left join pg_catalog.pg_roles as role on role.oid = waiting.owner
        where role.oid is not null or waiting.owner = 1
        order by 3, 4");

    // One that a runner has is passed over: its role was dropped while its function runs, and nobody waits for that.
    ORPHANS() = "
        delete from edge_store.callback
        where call_id = any (array(
            select call_id from edge_store.callback
            where callback.owner <> 1
              and not exists (select from pg_catalog.pg_roles as role where role.oid = callback.owner)
            for update skip locked))";

    ORPHANS_OF_MESSAGES() = "
        delete from edge_store.ws_handling
        where message_id = any (array(
            select message_id from edge_store.ws_handling
            where not exists (select from pg_catalog.pg_roles as role where role.oid = ws_handling.owner)
            for update skip locked))";

    HAS_ORPHANS() = concat!(waiting!(), "
        select from waiting
        where waiting.owner <> 1 and not exists (select from pg_catalog.pg_roles as role where role.oid = waiting.owner)
        limit 1");

    // Locking a row writes xmax, and a transaction that ends without a commit leaves it there. The subquery reads it before
    // this statement's own lock.
    NEXT(OIDOID) = "
        select call_id, slot, function, runs, was_locked
        from (select call_id, slot, function, runs, xmax::text <> '0' as was_locked
              from edge_store.callback where owner = $1 order by call_id) as waiting
        limit 1 for update skip locked";

    COUNT_RUN(INT8OID, INT2OID) = "update edge_store.callback set runs = $2 where call_id = $1";

    // A crash of the server may have taken along the trace of a run, so from now on every run is counted.
    COUNT_FROM_NOW_ON() = "update edge_store.callback set runs = 0 where runs is null";

    DELETE(INT8OID) = "delete from edge_store.callback where call_id = $1";

    RECORD_ERROR(INT8OID, OIDOID, OIDOID, INT2OID, TEXTOID, TEXTOID) = "
        insert into edge_store.callback_error (call_id, owner, function, at, slot, sqlstate, error)
        values ($1, $2, $3, pg_catalog.clock_timestamp(), $4, $5, $6)";
}

/// The roles that have callbacks to be run, or functions for messages.
pub fn owners() -> Result<Vec<Owner>, Error> {
    Spi::connect(|client| {
        let rows = OWNERS.with(|statement| statement.read(client, &[]))?;
        rows.map(|row| {
            let role = row.get(1)?.ok_or(Error::Malformed)?;
            Ok(Owner { role, can_login: row.get(2)?.unwrap_or(false), first: [row.get(3)?, row.get(4)?] })
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
        ORPHANS_OF_MESSAGES.with(|statement| statement.write(client, &[]))?;
        Ok(())
    })
}

/// The next callback of a role, locked until the transaction ends.
pub fn next(role: pg_sys::Oid) -> Result<Option<TakenCallback>, Error> {
    Spi::connect_mut(|client| {
        let rows = NEXT.with(|statement| statement.write(client, &[role.into()]))?;
        if rows.is_empty() {
            return Ok(None);
        }
        let row = rows.first();
        let taken = TakenCallback {
            call: row.get(1)?.ok_or(Error::Malformed)?,
            slot: row.get(2)?.ok_or(Error::Malformed)?,
            function: row.get(3)?.ok_or(Error::Malformed)?,
            past: match (row.get::<i16>(4)?, row.get::<bool>(5)?) {
                (Some(runs), _) => Past::Counted(u32::from(runs.unsigned_abs())),
                (None, Some(true)) => Past::Tried,
                (None, _) => Past::New,
            },
        };
        Ok(Some(taken))
    })
}

/// Takes a callback out of the table. It comes back if the transaction does not commit.
pub fn forget(call: i64) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        DELETE.with(|statement| statement.write(client, &[call.into()]))?;
        Ok(())
    })
}

/// Notes that a callback is about to be run, for the so-manieth time.
pub fn count_run(call: i64, runs: u32) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        let runs = i16::try_from(runs).unwrap_or(i16::MAX);
        COUNT_RUN.with(|statement| statement.write(client, &[call.into(), runs.into()]))?;
        Ok(())
    })
}

/// Has every run of the callbacks that wait counted, also their first.
pub fn count_from_now_on() -> Result<(), Error> {
    Spi::connect_mut(|client| {
        COUNT_FROM_NOW_ON.with(|statement| statement.write(client, &[]))?;
        Ok(())
    })
}

/// Forgets a callback that failed and writes down why.
pub fn record_error(role: pg_sys::Oid, taken: &TakenCallback, sqlstate: &str, error: &str) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        DELETE.with(|statement| statement.write(client, &[taken.call.into()]))?;
        let args =
            [taken.call.into(), role.into(), taken.function.into(), taken.slot.into(), sqlstate.into(), error.into()];
        RECORD_ERROR.with(|statement| statement.write(client, &args))?;
        Ok(())
    })
}

/// Notes callbacks that are to be run.
pub fn insert(callbacks: &[Callback]) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        let args = [
            column(callbacks, |callback| callback.call.0).into(),
            column(callbacks, |callback| callback.slot).into(),
            column(callbacks, |callback| callback.owner).into(),
            column(callbacks, |callback| callback.function).into(),
        ];
        INSERT_CALLBACKS.with(|statement| statement.write(client, &args))?;
        Ok(())
    })
}
