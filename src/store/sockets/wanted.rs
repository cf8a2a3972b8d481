//! Websockets as they are wanted. Written by sessions alone.

use pgrx::prelude::*;

use crate::domain::socket::plan::Farewell;
use crate::error::Error;
use crate::store::statement::statements;
use crate::store::table;

/// A websocket that somebody wants, checked.
pub struct Wish<'a> {
    pub name: &'a str,
    /// Whole, or a path of the endpoint.
    pub url: &'a str,
    pub endpoint: Option<&'a str>,
    pub headers: Option<&'a str>,
    pub subprotocols: Option<Vec<String>>,
    /// The function for what comes, as `regprocedure` writes it, and whose it is.
    pub on_message: Option<(&'a str, pg_sys::Oid)>,
    pub heartbeat: Option<&'a str>,
    pub max_age: Option<Interval>,
}

/// A websocket that there is.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub id: i64,
    pub owner: pg_sys::Oid,
    /// Not closed by `edge.ws_close`.
    pub wanted: bool,
}

/// What `edge.ws_open` made of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It is to be opened, or to be another one than it was.
    Anew(i64),
    /// It was just that, and is wanted.
    AsItWas(i64),
}

statements! {
    // What has ended without anybody's wish is opened again by saying it again.
    OPEN(INT8OID, OIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTOID, OIDOID, TEXTOID, INTERVALOID) = "
        insert into edge_store.ws_connection as known
            (id, owner, name, url, endpoint, headers, subprotocols, on_message, on_message_of, heartbeat, max_age, revision,
             wanted, created_at, updated_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 1, true, clock_timestamp(), clock_timestamp())
        on conflict (owner, name) do update
            set url = excluded.url, endpoint = excluded.endpoint, headers = excluded.headers,
                subprotocols = excluded.subprotocols, on_message = excluded.on_message, on_message_of = excluded.on_message_of,
                heartbeat = excluded.heartbeat, max_age = excluded.max_age, revision = known.revision + 1, wanted = true, close_code = null,
                close_reason = null, updated_at = excluded.updated_at
            where not known.wanted
               or (known.url, known.endpoint, known.headers, known.subprotocols, known.on_message, known.on_message_of,
                   known.heartbeat, known.max_age)
                  is distinct from (excluded.url, excluded.endpoint, excluded.headers, excluded.subprotocols,
                                    excluded.on_message, excluded.on_message_of, excluded.heartbeat, excluded.max_age)
               or exists (select from edge_store.ws_state
                          where connection_id = known.id and state in ('failed', 'closed'))
        returning id";

    FIND(TEXTOID, OIDOID) = "
        select id, owner::oid, wanted from edge_store.ws_connection where name = $1 and owner = $2";

    // The role's own first.
    LOCK(TEXTOID, OIDOID, BOOLOID) = "
        select id, owner::oid, wanted from edge_store.ws_connection
        where name = $1 and (owner = $2 or $3)
        order by owner <> $2
        for no key update";

    LOCK_BY_ID(INT8OID) = "
        select id, owner::oid, wanted from edge_store.ws_connection where id = $1 for no key update";

    CLOSE(INT8OID, INT4OID, TEXTOID) = "
        update edge_store.ws_connection
        set wanted = false, close_code = $2, close_reason = $3, revision = revision + 1, updated_at = clock_timestamp()
        where id = $1";

    REOPEN(INT8OID) = "
        update edge_store.ws_connection
        set wanted = true, close_code = null, close_reason = null, revision = revision + 1, updated_at = clock_timestamp()
        where id = $1";

    COUNT_OF(OIDOID) = "select count(*) from edge_store.ws_connection where owner = $1 and wanted";

    OPENED_BY(TEXTOID) = "
        select count(*), min(name) from edge_store.ws_connection where endpoint = $1 and wanted";
}

/// Writes a wish, over one of the same owner and name if there is one.
pub fn open(owner: pg_sys::Oid, wish: Wish<'_>) -> Result<Opened, Error> {
    let id = match find(wish.name, owner)? {
        Some(known) => known.id,
        None => table::next_value(c"ws_connection_id")?,
    };
    let args = [
        id.into(),
        owner.into(),
        wish.name.into(),
        wish.url.into(),
        wish.endpoint.into(),
        wish.headers.into(),
        wish.subprotocols.into(),
        wish.on_message.map(|(name, _)| name).into(),
        wish.on_message.map(|(_, owner)| owner).into(),
        wish.heartbeat.into(),
        wish.max_age.into(),
    ];
    let written = Spi::connect_mut(|client| {
        let mut rows = OPEN.with(|statement| statement.write(client, &args))?;
        Ok::<_, Error>(rows.next().map(|row| row.get::<i64>(1)).transpose()?.flatten())
    })?;
    match written {
        Some(id) => Ok(Opened::Anew(id)),
        None => Ok(Opened::AsItWas(find(wish.name, owner)?.ok_or(Error::Malformed)?.id)),
    }
}

/// The websocket of a name that a role has.
pub fn find(name: &str, owner: pg_sys::Oid) -> Result<Option<Known>, Error> {
    // A reading statement would not see what the running one has written.
    Spi::connect_mut(|client| {
        let mut rows = FIND.with(|statement| statement.write(client, &[name.into(), owner.into()]))?;
        rows.next().map(|row| known(&row)).transpose()
    })
}

/// How many websockets a role wants.
pub fn count_of(owner: pg_sys::Oid) -> Result<u64, Error> {
    // A reading statement would not see what the running one has written.
    Spi::connect_mut(|client| {
        let row = COUNT_OF.with(|statement| statement.write(client, &[owner.into()]))?.first();
        Ok(row.get::<i64>(1)?.map_or(0, i64::unsigned_abs))
    })
}

/// Which websockets of a name are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// That of the role alone.
    Role,
    /// Everybody's, that of the role first.
    Everybody,
}

/// Finds websockets by their name, and locks them.
pub fn lock(name: &str, role: pg_sys::Oid, of: Of) -> Result<Vec<Known>, Error> {
    Spi::connect_mut(|client| {
        let args = [name.into(), role.into(), (of == Of::Everybody).into()];
        let rows = LOCK.with(|statement| statement.write(client, &args))?;
        rows.map(|row| known(&row)).collect()
    })
}

/// Locks the websocket of a number.
pub fn lock_by_id(id: i64) -> Result<Option<Known>, Error> {
    Spi::connect_mut(|client| {
        let mut rows = LOCK_BY_ID.with(|statement| statement.write(client, &[id.into()]))?;
        rows.next().map(|row| known(&row)).transpose()
    })
}

fn known(row: &spi::SpiHeapTupleData<'_>) -> Result<Known, Error> {
    Ok(Known {
        id: row.get(1)?.ok_or(Error::Malformed)?,
        owner: row.get(2)?.ok_or(Error::Malformed)?,
        wanted: row.get(3)?.ok_or(Error::Malformed)?,
    })
}

/// Has a websocket opened as it was last wanted.
pub fn reopen(id: i64) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        REOPEN.with(|statement| statement.write(client, &[id.into()]))?;
        Ok(())
    })
}

/// Has a websocket closed.
pub fn close(id: i64, farewell: &Farewell) -> Result<(), Error> {
    Spi::connect_mut(|client| {
        let args = [id.into(), i32::from(farewell.code).into(), farewell.reason.as_str().into()];
        CLOSE.with(|statement| statement.write(client, &args))?;
        Ok(())
    })
}

/// How many websockets are opened by an endpoint, and the name of one.
pub fn opened_by(endpoint: &str) -> Result<Option<(i64, String)>, Error> {
    Spi::connect(|client| {
        let row = OPENED_BY.with(|statement| statement.read(client, &[endpoint.into()]))?.first();
        let count: i64 = row.get(1)?.ok_or(Error::Malformed)?;
        Ok(row.get::<String>(2)?.map(|name| (count, name)))
    })
}
