//! `edge.ws_close`: saying that a websocket is not wanted any more.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::api::arguments::{self, required, viewer};
use crate::domain::socket::plan::Farewell;
use crate::domain::socket::wish;
use crate::error::Error;
use crate::store::datum::Text;
use crate::store::owner;
use crate::store::sockets::wanted::{self, Known, Of};
use crate::worker::wake::{self, reason};

/// Closes a websocket; tells whether there was one to close.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn ws_close(
    name: Option<Text>,
    code: default!(Option<i32>, "1000"),
    reason: default!(Option<Text>, "''"),
) -> Result<bool, ErrorReport> {
    let (name, farewell) = (arguments::name(name)?, farewell(code, reason)?);
    Ok(close(find(&name)?, &farewell)?)
}

/// The same by the number of the websocket, as names do not tell apart those of several roles.
#[pg_extern(schema = "edge", name = "ws_close", volatile, parallel_unsafe)]
fn ws_close_by_id(
    id: Option<i64>,
    code: default!(Option<i32>, "1000"),
    reason: default!(Option<Text>, "''"),
) -> Result<bool, ErrorReport> {
    let (id, farewell) = (required(id, "id")?, farewell(code, reason)?);
    let viewer = viewer();
    let found = owner::acting(|| wanted::lock_by_id(id))?;
    Ok(close(found.filter(|known| known.owner == viewer.role || viewer.sees_all), &farewell)?)
}

fn farewell(code: Option<i32>, reason: Option<Text>) -> Result<Farewell, Error> {
    Ok(wish::farewell(required(code, "code")?, required(reason, "reason")?.read("reason")?)?)
}

fn close(found: Option<Known>, farewell: &Farewell) -> Result<bool, Error> {
    let Some(Known { id, wanted: true, .. }) = found else { return Ok(false) };
    owner::acting(|| wanted::close(id, farewell))?;
    wake::at_commit(reason::SOCKETS);
    Ok(true)
}

/// The websocket of a name: the caller's own, or for a superuser who has none the only one that there is.
pub(super) fn find(name: &str) -> Result<Option<Known>, Error> {
    let viewer = viewer();
    let of = if viewer.sees_all { Of::Everybody } else { Of::Role };
    let mut found = owner::acting(|| wanted::lock(name, viewer.role, of))?;
    if found.len() > 1 && found[0].owner != viewer.role {
        return Err(Error::AmbiguousSocket(name.to_owned()));
    }
    Ok(if found.is_empty() { None } else { Some(found.swap_remove(0)) })
}
