//! What the collector of pg_edge_net does, which that extension says in SQL: `sql/net`.

use std::time::Duration;

use pgrx::prelude::*;

use super::statement::statements;
use crate::error::Error;

/// Responses that are forgotten at once.
const FORGOTTEN: i32 = 10_000;

statements! {
    IS_THERE() = "
        select pg_catalog.to_regprocedure('edge_store.net_collect(bigint[], boolean)') is not null";

    LOCK() = "select edge_store.net_lock()";

    NEXT(INT4OID, INT8OID, INT8ARRAYOID) = "select edge_store.net_next($1, $2, $3)";

    SUSPECT() = "select edge_store.net_suspect()";
    LEAST_SUSPECT(INT8ARRAYOID) = "select edge_store.net_least_suspect($1)";
    BEGUN(INT2OID, INT4OID, INT8ARRAYOID) = "select edge_store.net_begun($1, $2, $3)";
    NOTE_BEGUN(INT8ARRAYOID, INT2OID) = "select edge_store.net_note_begun($1, $2)";

    COLLECT(INT8ARRAYOID, BOOLOID) = "select edge_store.net_collect($1, $2)";

    PASS_OVER(INT8OID, TEXTOID, TEXTOID) = "select edge_store.net_pass_over($1, $2, $3)";
    FORGET_REQUEST(INT8OID) = "select edge_store.net_forget_request($1)";

    // The extension was dropped: nobody awaits these.
    GIVE_UP() = "delete from edge_store.callback where owner = 1";

    EXPIRE(INTERVALOID, INT4OID) = "select edge_store.net_expire($1, $2)";

    WHOSE(INT8OID) = "select owner from edge_store.net_owner where id = $1";
}

/// How long responses are kept, beside their calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Whose they are can be looked up in their calls.
    NoLongerThanCalls,
    LongerThanCalls,
}

/// Whether pg_edge_net is in this database. Looks at catalogues alone: users may lock its tables.
pub fn is_there() -> Result<bool, Error> {
    Spi::connect(|client| {
        let there = IS_THERE.with(|statement| statement.read(client, &[]))?.first().get_one::<bool>()?;
        Ok(there.unwrap_or(false))
    })
}

/// Takes the locks that storing needs.
pub fn lock() -> Result<(), Error> {
    if !is_there()? {
        return Ok(());
    }
    Spi::connect_mut(|client| {
        LOCK.with(|statement| statement.write(client, &[]))?;
        Ok(())
    })
}

/// The next calls whose outcomes are to be stored, but for these: at most so many, with answers of so many bytes together.
pub fn next(most: i32, bytes: i64, but: &[i64]) -> Result<Vec<i64>, Error> {
    if !is_there()? {
        return Spi::connect_mut(|client| {
            GIVE_UP.with(|statement| statement.write(client, &[]))?;
            Ok(Vec::new())
        });
    }
    Spi::connect_mut(|client| {
        let args = [most.into(), bytes.into(), but.to_vec().into()];
        let row = NEXT.with(|statement| statement.write(client, &args))?.first();
        Ok(row.get_one::<Vec<i64>>()?.unwrap_or_default())
    })
}

/// Has that counted from now on which an earlier collector took up and did not bring to its end.
pub fn suspect_what_was_left() -> Result<(), Error> {
    if !is_there()? {
        return Ok(());
    }
    Spi::connect_mut(|client| {
        SUSPECT.with(|statement| statement.write(client, &[]))?;
        Ok(())
    })
}

/// How often those were taken up in vain that were so least often, of all that are counted but for these.
pub fn least_suspect(but: &[i64]) -> Result<Option<u32>, Error> {
    if !is_there()? {
        return Ok(None);
    }
    Spi::connect_mut(|client| {
        let row = LEAST_SUSPECT.with(|statement| statement.write(client, &[but.to_vec().into()]))?.first();
        Ok(row.get_one::<i16>()?.map(|runs| u32::from(runs.unsigned_abs())))
    })
}

/// At most so many of those that were taken up this often, but for these.
pub fn begun(begun: u32, most: usize, but: &[i64]) -> Result<Vec<i64>, Error> {
    let most = i32::try_from(most).unwrap_or(i32::MAX);
    Spi::connect_mut(|client| {
        let args = [small(begun).into(), most.into(), but.to_vec().into()];
        let row = BEGUN.with(|statement| statement.write(client, &args))?.first();
        Ok(row.get_one::<Vec<i64>>()?.unwrap_or_default())
    })
}

/// Notes how often these were taken up.
pub fn note_begun(calls: &[i64], begun: u32) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        NOTE_BEGUN.with(|statement| statement.write(client, &[calls.to_vec().into(), small(begun).into()]))?;
        Ok(())
    })
}

/// Stores the outcomes of calls that have ended, and gives those whose rows of the queue somebody else holds.
pub fn collect(calls: &[i64], kept: Kept) -> Result<Vec<i64>, Error> {
    if !is_there()? {
        return Ok(Vec::new());
    }
    Spi::connect_mut(|client| {
        let args = [calls.to_vec().into(), (kept == Kept::LongerThanCalls).into()];
        let row = COLLECT.with(|statement| statement.write(client, &args))?.first();
        Ok(row.get_one::<Vec<i64>>()?.unwrap_or_default())
    })
}

/// Passes over a call whose outcome cannot be stored, and writes down why.
pub fn pass_over(call: i64, sqlstate: &str, error: &str) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        PASS_OVER.with(|statement| statement.write(client, &[call.into(), sqlstate.into(), error.into()]))?;
        Ok(())
    })
}

/// Takes the request of a call out of the queue that was passed over.
pub fn forget_request(call: i64) -> Result<(), Error> {
    if !is_there()? {
        return Ok(());
    }
    Spi::connect_mut(|client| {
        FORGET_REQUEST.with(|statement| statement.write(client, &[call.into()]))?;
        Ok(())
    })
}

/// Forgets responses that have been kept for long enough; tells whether there may be more.
pub fn expire(ttl: Duration) -> Result<bool, Error> {
    if !is_there()? {
        return Ok(false);
    }
    Spi::connect_mut(|client| {
        let args = [interval(ttl).into(), FORGOTTEN.into()];
        let gone = EXPIRE.with(|statement| statement.write(client, &args))?.first().get_one::<i32>()?;
        Ok(gone == Some(FORGOTTEN))
    })
}

/// Whose response it is that is kept for longer than its call.
pub fn owner(call: i64) -> Result<Option<pg_sys::Oid>, Error> {
    Spi::connect(|client| {
        let rows = WHOSE.with(|statement| statement.read(client, &[call.into()]))?;
        if rows.is_empty() { Ok(None) } else { Ok(rows.first().get_one::<pg_sys::Oid>()?) }
    })
}

fn small(runs: u32) -> i16 {
    i16::try_from(runs).unwrap_or(i16::MAX)
}

fn interval(ttl: Duration) -> Interval {
    Interval::from_micros(i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX))
}
