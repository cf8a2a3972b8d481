//! Forgetting websockets that nobody wants any more.

use std::time::SystemTime;

use pgrx::prelude::*;

use crate::error::Error;
use crate::store::statement::statements;
use crate::store::time::to_timestamp;

statements! {
    // A session may be asking for it again, and is not to be waited for.
    FORGET_CLOSED(TIMESTAMPTZOID) = "
        delete from edge_store.ws_connection
        where id in (
            select connection.id
            from edge_store.ws_connection as connection join edge_store.ws_state as state on state.connection_id = connection.id
            where not connection.wanted and connection.updated_at < $1
              and state.revision = connection.revision and state.state = 'closed'
            for update of connection skip locked)
        returning id";

    FORGET_OF_DROPPED(INT8ARRAYOID) = "
        delete from edge_store.ws_connection
        where id in (
            select connection.id from edge_store.ws_connection as connection
            where connection.id = any ($1)
              and not exists (select from pg_catalog.pg_roles as role where role.oid = connection.owner)
            for update skip locked)
        returning id";

    FORGET_STATES(INT8ARRAYOID) = "delete from edge_store.ws_state where connection_id = any ($1)";
}

/// Forgets the websockets that were closed before this moment. Gives which.
pub fn forget_closed(before: SystemTime) -> Result<Vec<i64>, Error> {
    Spi::connect_mut(|client| {
        let rows = FORGET_CLOSED.with(|statement| statement.write(client, &[to_timestamp(before).into()]))?;
        rows.map(|row| row.get::<i64>(1)?.ok_or(Error::Malformed)).collect()
    })
}

/// Forgets these websockets, whose owners have been dropped. Gives which.
pub fn forget_of_dropped(connections: Vec<i64>) -> Result<Vec<i64>, Error> {
    Spi::connect_mut(|client| {
        let rows = FORGET_OF_DROPPED.with(|statement| statement.write(client, &[connections.into()]))?;
        rows.map(|row| row.get::<i64>(1)?.ok_or(Error::Malformed)).collect()
    })
}

/// Forgets how these were.
pub fn forget_states(connections: Vec<i64>) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        FORGET_STATES.with(|statement| statement.write(client, &[connections.into()]))?;
        Ok(())
    })
}
