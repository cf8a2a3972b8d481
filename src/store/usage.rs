//! What the calls of each endpoint came to in each month. Only the dispatcher writes it.

use std::collections::HashMap;

use pgrx::prelude::*;

use super::statement::{column, statements};
use crate::domain::month::Month;
use crate::domain::usage::Counts;
use crate::error::Error;

statements! {
    ADD(TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID) = "
        insert into edge_store.usage as known (endpoint, month, calls, attempts, request_bytes, response_bytes)
        select new.endpoint, new.month::date, new.calls, new.attempts, new.request_bytes, new.response_bytes
        from unnest($1, $2, $3, $4, $5, $6) as new (endpoint, month, calls, attempts, request_bytes, response_bytes)
        on conflict (endpoint, month) do update
            set calls = known.calls + excluded.calls,
                attempts = known.attempts + excluded.attempts,
                request_bytes = known.request_bytes + excluded.request_bytes,
                response_bytes = known.response_bytes + excluded.response_bytes
        returning endpoint, month::text, attempts";

    ATTEMPTS(TEXTARRAYOID, TEXTOID) = "
        select endpoint, attempts from edge_store.usage where endpoint = any ($1) and month = $2::date";

    ORIGINS(TEXTOID, INT8OID) = "
        select endpoint from edge_store.usage where month = $1::date and endpoint like '%://%' limit $2";

    HAS_OLD(TEXTOID) = "select from edge_store.usage where month < $1::date limit 1";

    // A clock that is far ahead for a moment has no month before it in which anything was counted.
    FORGET(TEXTOID, TEXTOID, INT4OID) = "
        delete from edge_store.usage
        where month < $1::date
          and month < (select max(month) from edge_store.usage where month < $2::date) - make_interval(months => $3 - 1)";
}

/// The attempts of an endpoint in a month, as they are after an addition.
pub struct Sum {
    pub endpoint: String,
    pub month: String,
    pub attempts: i64,
}

/// Adds counts, no endpoint and month twice, and gives what they come to.
pub fn add(rows: &[(&str, Month, Counts)]) -> Result<Vec<Sum>, Error> {
    Spi::connect_mut(|client| {
        let args = [
            column(rows, |(endpoint, _, _)| *endpoint).into(),
            column(rows, |(_, month, _)| month.to_string()).into(),
            column(rows, |(_, _, counts)| counts.calls).into(),
            column(rows, |(_, _, counts)| counts.attempts).into(),
            column(rows, |(_, _, counts)| counts.request_bytes).into(),
            column(rows, |(_, _, counts)| counts.response_bytes).into(),
        ];
        let sums = ADD.with(|statement| statement.write(client, &args))?;
        sums.map(|row| {
            Ok(Sum {
                endpoint: row.get(1)?.ok_or(Error::Malformed)?,
                month: row.get(2)?.ok_or(Error::Malformed)?,
                attempts: row.get(3)?.ok_or(Error::Malformed)?,
            })
        })
        .collect()
    })
}

/// The attempts of endpoints in a month. One without any is not among them.
pub fn attempts(endpoints: Vec<String>, month: Month) -> Result<HashMap<String, i64>, Error> {
    Spi::connect(|client| {
        let rows = ATTEMPTS.with(|statement| statement.read(client, &[endpoints.into(), month.to_string().into()]))?;
        rows.map(|row| Ok((row.get(1)?.ok_or(Error::Malformed)?, row.get(2)?.ok_or(Error::Malformed)?))).collect()
    })
}

/// The origins that are counted in a month, so many at most.
pub fn origins(month: Month, most: usize) -> Result<Vec<String>, Error> {
    Spi::connect(|client| {
        let args = [month.to_string().into(), (most as i64).into()];
        let rows = ORIGINS.with(|statement| statement.read(client, &args))?;
        rows.map(|row| row.get::<String>(1)?.ok_or(Error::Malformed)).collect()
    })
}

/// Forgets the months that are more than so many before the present one, and as far before the last in which anything was counted.
pub fn forget_before(present: Month, kept: i32) -> Result<(), Error> {
    let oldest = present.back(kept).to_string();
    let any = Spi::connect(|client| {
        Ok::<_, Error>(!HAS_OLD.with(|statement| statement.read(client, &[oldest.as_str().into()]))?.is_empty())
    })?;
    if !any {
        return Ok(());
    }
    Spi::connect_mut(|client| {
        FORGET.with(|statement| {
            statement.write(client, &[oldest.as_str().into(), present.to_string().into(), kept.into()])
        })?;
        Ok(())
    })
}
