//! The schedules that call an endpoint, as those who drop it see them.

use pgrx::prelude::*;

use crate::error::Error;
use crate::store::statement::statements;

statements! {
    NAMES(TEXTOID) = "
        select count(*), min(name) from edge_store.schedule where endpoint = $1";

    STOP(TEXTOID, TEXTOID, TEXTOID) = "
        update edge_store.schedule
        set active = false, next_run_at = null, due_at = null, note = $2, noted_by = $3, updated_at = clock_timestamp()
        where endpoint = $1 and active";
}

/// How many schedules call an endpoint, and the name of one.
pub fn scheduled(endpoint: &str) -> Result<Option<(i64, String)>, Error> {
    Spi::connect(|client| {
        let row = NAMES.with(|statement| statement.read(client, &[endpoint.into()]))?.first();
        let count: i64 = row.get(1)?.ok_or(Error::Malformed)?;
        Ok(row.get::<String>(2)?.map(|name| (count, name)))
    })
}

/// Takes the schedules that call an endpoint out of service.
pub fn stop(endpoint: &str, note: &str, by: &str) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        STOP.with(|statement| statement.write(client, &[endpoint.into(), note.into(), by.into()]))?;
        Ok(())
    })
}
