//! What the collector of pg_edge_net does, which that extension says in SQL: `sql/net.sql`.

use std::time::Duration;

use pgrx::prelude::*;

use super::statement::statements;
use crate::error::Error;

/// Responses that are forgotten at once.
const FORGOTTEN: i32 = 10_000;

statements! {
    IS_THERE() = "
        select pg_catalog.to_regprocedure('edge_store.net_collect(integer, bigint, bigint[])') is not null";

    LOCK() = "select edge_store.net_lock()";

    NEXT(INT8ARRAYOID) = "select edge_store.net_next($1)";

    COLLECT(INT4OID, INT8OID, INT8ARRAYOID) = "select stored, busy from edge_store.net_collect($1, $2, $3)";

    PASS_OVER(INT8OID, TEXTOID, TEXTOID) = "select edge_store.net_pass_over($1, $2, $3)";

    // The extension was dropped: nobody awaits these.
    GIVE_UP() = "delete from edge_store.callback where owner = 1";

    EXPIRE(INTERVALOID, INT4OID) = "select edge_store.net_expire($1, $2)";
}

/// What of the outcomes is to be stored at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// At most so many, the oldest first.
    AtMost(i32),
    /// That of this call.
    One(i64),
}

/// What storing has come to.
#[derive(Debug, Default)]
pub struct Collected {
    pub stored: i32,
    /// Calls whose rows of the queue somebody else holds.
    pub busy: Vec<i64>,
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

/// The next call whose outcome is to be stored, but for these.
pub fn next(but: &[i64]) -> Result<Option<i64>, Error> {
    if !is_there()? {
        return Ok(None);
    }
    Spi::connect_mut(|client| {
        let row = NEXT.with(|statement| statement.write(client, &[but.to_vec().into()]))?.first();
        Ok(row.get_one::<i64>()?)
    })
}

/// Stores outcomes of calls that have ended, but for these.
pub fn collect(which: Which, but: &[i64]) -> Result<Collected, Error> {
    if !is_there()? {
        return Spi::connect_mut(|client| {
            GIVE_UP.with(|statement| statement.write(client, &[]))?;
            Ok(Collected::default())
        });
    }
    let (most, one) = match which {
        Which::AtMost(most) => (most, None),
        Which::One(call) => (1, Some(call)),
    };
    Spi::connect_mut(|client| {
        let args = [most.into(), one.into(), but.to_vec().into()];
        let row = COLLECT.with(|statement| statement.write(client, &args))?.first();
        Ok(Collected { stored: row.get(1)?.unwrap_or(0), busy: row.get(2)?.unwrap_or_default() })
    })
}

/// Passes over a call whose outcome cannot be stored, and writes down why.
pub fn pass_over(call: i64, sqlstate: &str, error: &str) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        PASS_OVER.with(|statement| statement.write(client, &[call.into(), sqlstate.into(), error.into()]))?;
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

fn interval(ttl: Duration) -> Interval {
    Interval::from_micros(i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX))
}
