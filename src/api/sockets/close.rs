//! `edge.ws_close`: saying that a websocket is not wanted any more.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::api::arguments::{self, required, viewer};
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
    let name = arguments::name(name)?;
    let (code, reason) = (required(code, "code")?, required(reason, "reason")?.read("reason")?);
    let farewell = wish::farewell(code, reason).map_err(Error::from)?;
    let Some(Known { id, wanted: true, .. }) = find(&name)? else { return Ok(false) };
    owner::acting(|| wanted::close(id, &farewell))?;
    wake::at_commit(reason::SOCKETS);
    Ok(true)
}

/// The websocket of a name: the caller's own, or for a superuser who has none the only one that there is.
fn find(name: &str) -> Result<Option<Known>, Error> {
    let viewer = viewer();
    let of = if viewer.sees_all { Of::Everybody } else { Of::Role };
    let mut found = owner::acting(|| wanted::lock(name, viewer.role, of))?;
    if found.len() > 1 && found[0].owner != viewer.role {
        return Err(Error::AmbiguousSocket(name.to_owned()));
    }
    Ok(if found.is_empty() { None } else { Some(found.swap_remove(0)) })
}
