//! Reading what became of the items of a call, for whoever sends those again that have failed.

use bytes::Bytes;
use pgrx::prelude::*;

use super::statement::statements;
use crate::domain::header::block;
use crate::domain::outcome::{Head, Response};
use crate::error::Error;

statements! {
    ITEMS_FAILED(INT8OID) = "
        select request.body, response.status_code, response.headers, response.body
        from edge_store.request join edge_store.response on response.call_id = request.id and response.slot = request.slot
        where request.id = $1 and request.round is not null and response.error_class = 'items'";
}

/// What was sent and answered, of a call that ended because some of its items have failed.
pub fn of(call: i64) -> Result<Option<(Vec<u8>, Response)>, Error> {
    Spi::connect(|client| {
        let rows = ITEMS_FAILED.with(|statement| statement.read(client, &[call.into()]))?;
        if rows.is_empty() {
            return Ok(None);
        }
        let row = rows.first();
        let headers: String = row.get(3)?.unwrap_or_default();
        let headers = block::pairs(&headers);
        let headers = headers.map(|(name, value)| (name.to_owned(), Bytes::from(value.to_owned()))).collect();
        let status = row.get::<i16>(2)?.unwrap_or(0).unsigned_abs();
        let body = Bytes::from(row.get::<Vec<u8>>(4)?.unwrap_or_default());
        let answer = Response { head: Head { status, headers }, body };
        Ok(Some((row.get::<Vec<u8>>(1)?.unwrap_or_default(), answer)))
    })
}
