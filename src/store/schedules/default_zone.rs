//! The time zone that a schedule gets which names none: the database's, whatever the session's is, since drivers set that.

use pgrx::prelude::*;

use crate::error::Error;
use crate::store::statement::statements;

statements! {
    // As Postgres applies them when a session begins: what is said of the database goes before what is said of all.
    SET_HERE() = "
        select substr(option, strpos(option, '=') + 1)
        from pg_catalog.pg_db_role_setting
        join pg_catalog.pg_database on pg_database.datname = current_database(),
             unnest(setconfig) as option
        where setrole = 0 and setdatabase in (0, pg_database.oid) and lower(split_part(option, '=', 1)) = 'timezone'
        order by setdatabase desc
        limit 1";
}

/// What `ALTER DATABASE … SET timezone` says, or `ALTER ROLE ALL SET timezone`. `None` leaves it to the server.
pub fn set_here() -> Result<Option<String>, Error> {
    Spi::connect(|client| {
        let mut rows = SET_HERE.with(|statement| statement.read(client, &[]))?;
        Ok(rows.next().map(|row| row.get::<String>(1)).transpose()?.flatten())
    })
}
