//! Making and changing endpoints.
//!
//! `edge.grant_access` does not open these functions: whoever may name an endpoint decides where its secrets go.

use pgrx::datum::Interval;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::arguments;
use super::endpoint_arguments::{self as given, Given};
use crate::error::Error;
use crate::store::datum::{Jsonb, Text};
use crate::store::endpoints;
use crate::store::owner;
use crate::store::schedules::endpoint as schedules;
use crate::store::sockets::wanted;
use crate::worker::wake::{self, reason};

/// Makes an endpoint.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments, reason = "the SQL contract")]
fn create_endpoint(
    name: Option<Text>,
    base_url: Option<Text>,
    headers: default!(Option<Jsonb>, "'{}'"),
    profile: default!(Option<Text>, "'generic'"),
    retry: default!(Option<Jsonb>, "NULL"),
    timeout: default!(Option<Interval>, "NULL"),
    connect_timeout: default!(Option<Interval>, "NULL"),
    max_concurrency: default!(Option<i32>, "NULL"),
    max_rate: default!(Option<AnyNumeric>, "NULL"),
    max_request_bytes: default!(Option<i32>, "NULL"),
    max_response_bytes: default!(Option<i32>, "NULL"),
    signing_secrets: default!(Option<Vec<Option<String>>>, "NULL"),
    monthly_quota: default!(Option<i64>, "NULL"),
    quota_action: default!(Option<Text>, "'warn'"),
    max_redirects: default!(Option<i32>, "0"),
    client_certificate: default!(Option<Text>, "NULL"),
    client_key: default!(Option<Text>, "NULL"),
) -> Result<(), ErrorReport> {
    arguments::required(base_url, "base_url")?;
    let given = Given {
        base_url,
        headers,
        profile,
        retry,
        timeout,
        connect_timeout,
        max_concurrency,
        max_rate,
        max_request_bytes,
        max_response_bytes,
        signing_secrets,
        monthly_quota,
        quota_action,
        max_redirects,
        client_certificate,
        client_key,
    };
    let (name, changes) = (given::name(name)?, given.check()?);
    given::identity_is_whole(&changes)?;
    if !owner::acting(|| endpoints::create(&name, &changes))? {
        return Err(Error::EndpointExists(name).into());
    }
    wake::at_commit(reason::ENDPOINTS);
    Ok(())
}

/// Changes an endpoint; what is null stays as it is, and what `reset` names is open again.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments, reason = "the SQL contract")]
fn alter_endpoint(
    name: Option<Text>,
    base_url: default!(Option<Text>, "NULL"),
    headers: default!(Option<Jsonb>, "NULL"),
    profile: default!(Option<Text>, "NULL"),
    retry: default!(Option<Jsonb>, "NULL"),
    timeout: default!(Option<Interval>, "NULL"),
    connect_timeout: default!(Option<Interval>, "NULL"),
    max_concurrency: default!(Option<i32>, "NULL"),
    max_rate: default!(Option<AnyNumeric>, "NULL"),
    max_request_bytes: default!(Option<i32>, "NULL"),
    max_response_bytes: default!(Option<i32>, "NULL"),
    signing_secrets: default!(Option<Vec<Option<String>>>, "NULL"),
    monthly_quota: default!(Option<i64>, "NULL"),
    quota_action: default!(Option<Text>, "NULL"),
    max_redirects: default!(Option<i32>, "NULL"),
    client_certificate: default!(Option<Text>, "NULL"),
    client_key: default!(Option<Text>, "NULL"),
    reset: default!(Option<Vec<Option<String>>>, "NULL"),
) -> Result<(), ErrorReport> {
    let given = Given {
        base_url,
        headers,
        profile,
        retry,
        timeout,
        connect_timeout,
        max_concurrency,
        max_rate,
        max_request_bytes,
        max_response_bytes,
        signing_secrets,
        monthly_quota,
        quota_action,
        max_redirects,
        client_certificate,
        client_key,
    };
    let (name, mut changes) = (given::name(name)?, given.check()?);
    given::identity_is_whole(&changes)?;
    changes.reset = given::reset(reset)?;
    changed(name, |name| endpoints::alter(name, &changes))
}

/// Removes an endpoint. Where it has calls that have not ended, that has to be forced, and they fail; where it has schedules or
/// websockets, too, and they are stopped.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn drop_endpoint(name: Option<Text>, force: default!(bool, "false")) -> Result<(), ErrorReport> {
    let name = given::name(name)?;
    if force {
        let by = owner::name(owner::current_role());
        let note =
            format!("its endpoint \"{name}\" was dropped; edge.resume_schedule starts it again once there is one");
        owner::acting(|| schedules::stop(&name, &note, &by))?;
        wake::at_commit(reason::SCHEDULES);
    } else if owner::acting(|| endpoints::has_calls(&name))? {
        return Err(Error::EndpointInUse(name).into());
    } else if let Some((count, schedule)) = owner::acting(|| schedules::scheduled(&name))? {
        return Err(Error::EndpointScheduled { name, count, schedule }.into());
    } else if let Some((count, socket)) = owner::acting(|| wanted::opened_by(&name))? {
        return Err(Error::EndpointConnected { name, count, socket }.into());
    }
    changed(name, endpoints::drop)
}

/// Sends the calls of an endpoint again.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn enable_endpoint(name: Option<Text>) -> Result<(), ErrorReport> {
    changed(given::name(name)?, endpoints::enable)
}

/// Lets the calls of an endpoint wait until it is enabled.
#[pg_extern(schema = "edge", volatile, parallel_unsafe)]
fn disable_endpoint(name: Option<Text>, note: default!(Option<Text>, "NULL")) -> Result<(), ErrorReport> {
    let note = note.map(|note| note.read("note")).transpose()?;
    changed(given::name(name)?, |name| endpoints::disable(name, note.as_deref()))
}

fn changed(name: String, change: impl FnOnce(&str) -> Result<bool, Error>) -> Result<(), ErrorReport> {
    if !owner::acting(|| change(&name))? {
        return Err(Error::NoSuchEndpoint(name).into());
    }
    wake::at_commit(reason::ENDPOINTS);
    Ok(())
}
