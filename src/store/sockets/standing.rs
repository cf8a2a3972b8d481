//! Which websockets are wanted, as the dispatcher reads them. It never locks what sessions write.

use std::time::Duration;

use pgrx::prelude::*;
use pgrx::spi::SpiHeapTupleData;

use crate::error::Error;
use crate::store::statement::statements;

/// That a wish has a new revision, or that its owner is gone.
#[derive(Clone, Copy, Debug)]
pub struct Revision {
    pub connection: i64,
    pub revision: i64,
    pub owner: Owner,
}

/// Whether the role that wants a websocket is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    Exists,
    Dropped,
}

/// Whom the messages are given to that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    Nobody,
    /// A function, which is looked for when it is run.
    Function,
}

/// A websocket as it is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub connection: i64,
    pub revision: i64,
    pub owner: pg_sys::Oid,
    pub url: String,
    pub endpoint: Option<String>,
    /// Lines of `domain::header`.
    pub headers: Option<String>,
    pub subprotocols: Vec<String>,
    pub handling: Handling,
    pub heartbeat: Option<String>,
    pub max_age: Option<Duration>,
    /// How it is to be closed, where it is not wanted any more.
    pub farewell: Option<(Option<i32>, Option<String>)>,
}

statements! {
    REVISIONS() = "
        select id, revision,
               exists (select from pg_catalog.pg_roles as role where role.oid = connection.owner)
        from edge_store.ws_connection as connection";

    WANTED(INT8ARRAYOID) = "
        select id, revision, owner::oid, url, endpoint, headers, subprotocols, on_message is not null, heartbeat,
               (extract(epoch from max_age) * 1000)::bigint, wanted, close_code, close_reason
        from edge_store.ws_connection
        where id = any ($1)";
}

/// All websockets that are or were wanted, and in which revision.
pub fn revisions() -> Result<Vec<Revision>, Error> {
    Spi::connect(|client| {
        let rows = REVISIONS.with(|statement| statement.read(client, &[]))?;
        rows.map(|row| {
            let owner = if row.get::<bool>(3)? == Some(true) { Owner::Exists } else { Owner::Dropped };
            let connection = row.get(1)?.ok_or(Error::Malformed)?;
            Ok(Revision { connection, revision: row.get(2)?.ok_or(Error::Malformed)?, owner })
        })
        .collect()
    })
}

/// These websockets as they are wanted.
pub fn wanted(connections: Vec<i64>) -> Result<Vec<Wanted>, Error> {
    Spi::connect(|client| {
        WANTED.with(|statement| statement.read(client, &[connections.into()]))?.map(|row| wish(&row)).collect()
    })
}

fn wish(row: &SpiHeapTupleData<'_>) -> Result<Wanted, Error> {
    let is_wanted = row.get::<bool>(11)?.ok_or(Error::Malformed)?;
    let farewell = if is_wanted { None } else { Some((row.get(12)?, row.get(13)?)) };
    let max_age = row.get::<i64>(10)?.map(|millis| Duration::from_millis(millis.max(0).unsigned_abs()));
    Ok(Wanted {
        connection: row.get(1)?.ok_or(Error::Malformed)?,
        revision: row.get(2)?.ok_or(Error::Malformed)?,
        owner: row.get(3)?.ok_or(Error::Malformed)?,
        url: row.get(4)?.unwrap_or_default(),
        endpoint: row.get(5)?,
        headers: row.get(6)?,
        subprotocols: row.get::<Vec<Option<String>>>(7)?.unwrap_or_default().into_iter().flatten().collect(),
        handling: if row.get::<bool>(8)? == Some(true) { Handling::Function } else { Handling::Nobody },
        heartbeat: row.get(9)?,
        max_age,
        farewell,
    })
}

impl Wanted {
    /// Whether a connection that was made for this wish would do for the other one.
    pub fn is_made_like(&self, other: &Self) -> bool {
        self.url == other.url
            && self.endpoint == other.endpoint
            && self.headers == other.headers
            && self.subprotocols == other.subprotocols
            && self.heartbeat == other.heartbeat
    }
}
