//! `edge.ws_send`: queueing a message in the running transaction.
//!
//! Of the three, Postgres chooses the one with text for a literal whose type is not known.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::open::within_limit;
use super::room;
use crate::api::arguments::{self, required};
use crate::error::Error;
use crate::store::datum::{Jsonb, Text};
use crate::store::owner;
use crate::store::sockets::queue::{self, Content};
use crate::store::sockets::wanted::{self, Known};
use crate::worker::wake::{self, reason};

/// Sends JSON, as text.
#[pg_extern(schema = "edge", name = "ws_send", volatile, parallel_unsafe)]
fn ws_send_json(name: Option<Text>, payload: Option<Jsonb>) -> Result<i64, ErrorReport> {
    let json = required(payload, "payload")?.read("payload")?;
    Ok(send(name, Content::Json(&json), json.len())?)
}

/// Sends text.
#[pg_extern(schema = "edge", name = "ws_send", volatile, parallel_unsafe)]
fn ws_send_text(name: Option<Text>, payload: Option<Text>) -> Result<i64, ErrorReport> {
    let text = required(payload, "payload")?.read("payload")?;
    Ok(send(name, Content::Text(&text), text.len())?)
}

/// Sends bytes.
#[pg_extern(schema = "edge", name = "ws_send", volatile, parallel_unsafe)]
fn ws_send_bytes(name: Option<Text>, payload: Option<&[u8]>) -> Result<i64, ErrorReport> {
    let bytes = required(payload, "payload")?;
    Ok(send(name, Content::Bytes(bytes), bytes.len())?)
}

fn send(name: Option<Text>, content: Content<'_>, size: usize) -> Result<i64, Error> {
    let (name, owner) = (arguments::name(name)?, owner::current_role());
    within_limit("the message", size)?;
    let connection = owner::acting(|| {
        let connection = open_one(&name, owner)?;
        room::take(connection, &name)?;
        Ok(connection)
    })?;
    let id = owner::confined(|| queue::insert(connection, owner, content))?;
    wake::at_commit(reason::MESSAGES);
    Ok(id)
}

/// The websocket of a name that is wanted; it need not stand.
fn open_one(name: &str, owner: pg_sys::Oid) -> Result<i64, Error> {
    match wanted::find(name, owner)? {
        None => Err(Error::NoSuchSocket(name.to_owned())),
        Some(Known { wanted: false, .. }) => Err(Error::SocketClosed(name.to_owned())),
        Some(Known { id, .. }) => Ok(id),
    }
}
