//! `edge.ws_reopen`: saying once more what was said of a websocket.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::close::find;
use super::open::one_more;
use crate::api::arguments;
use crate::error::Error;
use crate::store::datum::Text;
use crate::store::owner;
use crate::store::sockets::wanted;
use crate::worker::wake::{self, reason};

/// Opens a websocket that was closed or has failed as it was last wanted, and one that waits for its next try now.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn ws_reopen(name: Option<Text>) -> Result<i64, ErrorReport> {
    let name = arguments::name(name)?;
    let known = find(&name)?.ok_or(Error::NoSuchSocket(name))?;
    // Nobody else changes it: finding it has locked it.
    one_more(known.owner, || Ok(known.wanted))?;
    owner::acting(|| wanted::reopen(known.id))?;
    wake::at_commit(reason::SOCKETS);
    Ok(known.id)
}
