//! What the collector of pg_edge_net does, which that extension says in SQL: `sql/net.sql`.

use std::time::Duration;

use pgrx::prelude::*;

use super::statement::statements;
use crate::error::Error;

/// Responses that are forgotten at once.
const FORGOTTEN: i32 = 10_000;

statements! {
    IS_THERE() = "
        select pg_catalog.to_regprocedure('edge_store.net_collect(integer)') is not null";

    COLLECT(INT4OID) = "select edge_store.net_collect($1)";

    PASS_OVER(TEXTOID, TEXTOID) = "select edge_store.net_pass_over($1, $2)";

    // The extension was dropped: nobody awaits these.
    GIVE_UP() = "delete from edge_store.callback where owner = 1";

    HAS_EXPIRED(INTERVALOID) = "select edge_store.net_has_expired($1)";

    EXPIRE(INTERVALOID, INT4OID) = "select edge_store.net_expire($1, $2)";
}

/// Whether pg_edge_net is in this database.
fn is_there() -> Result<bool, Error> {
    Spi::connect(|client| {
        let there = IS_THERE.with(|statement| statement.read(client, &[]))?.first().get_one::<bool>()?;
        Ok(there.unwrap_or(false))
    })
}

/// Stores the outcomes of at most so many calls that have ended; gives how many it was.
pub fn collect(most: i32) -> Result<i32, Error> {
    if !is_there()? {
        return Spi::connect_mut(|client| {
            GIVE_UP.with(|statement| statement.write(client, &[]))?;
            Ok(0)
        });
    }
    Spi::connect_mut(|client| {
        let done = COLLECT.with(|statement| statement.write(client, &[most.into()]))?.first().get_one::<i32>()?;
        Ok(done.unwrap_or(0))
    })
}

/// Passes over the next call, whose outcome cannot be stored, and writes down why.
pub fn pass_over(sqlstate: &str, error: &str) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        PASS_OVER.with(|statement| statement.write(client, &[sqlstate.into(), error.into()]))?;
        Ok(())
    })
}

/// Whether there are responses that have been kept for long enough.
pub fn has_expired(ttl: Duration) -> Result<bool, Error> {
    if !is_there()? {
        return Ok(false);
    }
    Spi::connect(|client| {
        let expired = HAS_EXPIRED.with(|statement| statement.read(client, &[interval(ttl).into()]))?;
        Ok(expired.first().get_one::<bool>()?.unwrap_or(false))
    })
}

/// Forgets such responses; tells whether there may be more.
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
