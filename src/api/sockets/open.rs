//! `edge.ws_open`: saying that a websocket is wanted.

use pgrx::datum::Interval;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::api::arguments::{self, required};
use crate::api::handler::{self, Takes};
use crate::api::request;
use crate::domain::header;
use crate::domain::socket::{address, wish};
use crate::error::Error;
use crate::guc::Settings;
use crate::store::datum::{Jsonb, RegProc, Text};
use crate::store::owner;
use crate::store::sockets::wanted::{self, Opened, Wish};
use crate::worker::lock;
use crate::worker::wake::{self, reason};

const SECOND: i128 = 1_000_000;
const LONGEST_AGE: i128 = 3660 * 24 * 60 * 60 * SECOND;

/// Opens a websocket and keeps it open, or changes the one that has this name.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments, reason = "the SQL contract")]
fn ws_open(
    name: Option<Text>,
    url: Option<Text>,
    headers: default!(Option<Jsonb>, "'{}'"),
    subprotocols: default!(Option<Vec<Option<String>>>, "NULL"),
    on_message: default!(Option<RegProc>, "NULL"),
    heartbeat: default!(Option<Text>, "NULL"),
    max_age: default!(Option<Interval>, "NULL"),
    endpoint: default!(Option<Text>, "NULL"),
) -> Result<i64, ErrorReport> {
    let owner = owner::current_role();
    let name = arguments::name(name)?;
    let endpoint = endpoint.map(request::find).transpose()?;
    let url = required(url, "url")?.read("url")?;
    let url = address::stored(&url, endpoint.as_ref().map(|endpoint| &endpoint.base)).map_err(Error::from)?;
    let headers = headers.map(|given| read_headers(owner, given)).transpose()?.flatten();
    let on_message = on_message.map(|function| handler::check(owner, function, Takes::Message)).transpose()?;
    let heartbeat = heartbeat.map(read_heartbeat).transpose()?;
    let wish = Wish {
        name: &name,
        url: &url,
        endpoint: endpoint.as_ref().map(|endpoint| &*endpoint.name),
        headers: headers.as_deref(),
        subprotocols: subprotocols.map(read_subprotocols).transpose()?.filter(|names| !names.is_empty()),
        on_message: on_message.as_ref().map(|handler| (handler.name.as_str(), handler.owner)),
        heartbeat: heartbeat.as_deref(),
        max_age: max_age.map(read_max_age).transpose()?,
    };
    Ok(open(owner, wish)?)
}

/// Tells the dispatcher that websockets are wanted, at the commit.
#[pg_extern(schema = "edge_store", volatile, parallel_unsafe)]
fn wake_for_sockets() {
    wake::at_commit(reason::SOCKETS);
}

fn open(owner: pg_sys::Oid, wish: Wish<'_>) -> Result<i64, Error> {
    one_more(owner, || {
        let known = owner::acting(|| wanted::find(wish.name, owner))?;
        Ok(known.is_some_and(|known| known.wanted))
    })?;
    match owner::acting(|| wanted::open(owner, wish))? {
        Opened::AsItWas(id) => Ok(id),
        Opened::Anew(id) => {
            wake::at_commit(reason::SOCKETS);
            Ok(id)
        }
    }
}

/// Refuses another websocket of a role that has as many as it may. One that is wanted as it is needs no place.
///
/// Where there is a limit, one transaction after the other opens websockets of a role, or each would count without the others' and
/// all would find room. `is_wanted` looks again after that wait: another transaction may have opened this very one.
pub fn one_more(owner: pg_sys::Oid, is_wanted: impl Fn() -> Result<bool, Error>) -> Result<(), Error> {
    let limit = Settings::ws_max_per_role();
    if limit == 0 || is_wanted()? {
        return Ok(());
    }
    lock::be_the_only_one_to_open(owner);
    if !is_wanted()? && owner::acting(|| wanted::count_of(owner))? >= limit {
        return Err(Error::TooManySockets { role: owner::name(owner), limit });
    }
    Ok(())
}

/// The headers as they are kept. Placeholders in them take the right to set secrets, as those of calls do.
fn read_headers(owner: pg_sys::Oid, given: Jsonb) -> Result<Option<String>, Error> {
    let headers = wish::headers(&given.read("headers")?)?;
    request::may_hold_placeholders(owner, &headers)?;
    Ok(header::to_block(&headers))
}

fn read_subprotocols(given: Vec<Option<String>>) -> Result<Vec<String>, Error> {
    let names: Option<Vec<String>> = given.into_iter().collect();
    let names = required(names, "a subprotocol")?;
    wish::subprotocols(&names)?;
    Ok(names)
}

fn read_heartbeat(given: Text) -> Result<String, Error> {
    let text = given.read("heartbeat")?;
    if text.is_empty() {
        return Err(Error::OutOfRange {
            argument: "heartbeat",
            wanted: "a text, or null for none",
            given: "an empty one".to_owned(),
        });
    }
    within_limit("the heartbeat", text.len())?;
    Ok(text)
}

fn read_max_age(given: Interval) -> Result<Interval, Error> {
    arguments::within("max_age", "from 1 second to 3660 days", SECOND..=LONGEST_AGE, given)
}

/// Refuses what would be too large to be sent.
pub fn within_limit(what: &'static str, size: usize) -> Result<(), Error> {
    let limit = Settings::ws_max_message_bytes();
    if size > limit {
        return Err(Error::MessageTooLarge { what, size, limit });
    }
    Ok(())
}
