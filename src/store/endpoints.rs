//! Named endpoints: written by those who administer them, read by the dispatcher and by whoever queues a call to one.

use std::sync::Arc;
use std::time::Duration;

use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use pgrx::spi::SpiHeapTupleData;

use super::by_key;
use super::datum::Jsonb;
use super::statement::statements;
use crate::domain::endpoint::{self, Endpoint, EndpointLimits};
use crate::domain::header;
use crate::domain::lane_policy::{Gate, LanePolicy};
use crate::domain::profile::Profile;
use crate::domain::quota::{Action, Quota};
use crate::domain::rate::Rate;
use crate::domain::retry_policy::Written;
use crate::error::Error;

/// What somebody says of an endpoint, checked. `None` leaves it as it is, or open.
#[derive(Default)]
pub struct Changes {
    pub base_url: Option<String>,
    pub headers: Option<String>,
    pub profile: Option<String>,
    pub retry: Option<Jsonb>,
    pub timeout_ms: Option<i32>,
    pub connect_timeout_ms: Option<i32>,
    pub max_concurrency: Option<i32>,
    pub max_rate: Option<f64>,
    pub max_request_bytes: Option<i32>,
    pub max_response_bytes: Option<i32>,
    pub signing_secrets: Option<Vec<String>>,
    pub monthly_quota: Option<i64>,
    pub quota_action: Option<String>,
    pub max_redirects: Option<i16>,
    pub client_certificate: Option<String>,
    pub client_key: Option<String>,
    /// What is to be open again; names of columns.
    pub reset: Vec<String>,
}

statements! {
    CREATE(TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, INT4OID, INT4OID, INT4OID, FLOAT8OID, INT4OID, INT4OID, TEXTARRAYOID,
           INT8OID, TEXTOID, INT2OID, TEXTOID, TEXTOID) = "
        insert into edge_store.endpoint
            (name, base_url, headers, profile, retry, timeout_ms, connect_timeout_ms, max_concurrency, max_rate,
             max_request_bytes, max_response_bytes, signing_secrets, monthly_quota, quota_action, max_redirects,
             client_certificate, client_key, created_at, updated_at)
        values ($1, $2, $3, coalesce($4, 'generic'), $5, $6, $7, $8, $9, $10, $11, $12, $13, coalesce($14, 'warn'),
                coalesce($15, 0), $16, $17, pg_catalog.clock_timestamp(), pg_catalog.clock_timestamp())
        on conflict do nothing
        returning 1";

    ALTER(TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, INT4OID, INT4OID, INT4OID, FLOAT8OID, INT4OID, INT4OID, TEXTARRAYOID,
          INT8OID, TEXTOID, INT2OID, TEXTOID, TEXTOID, TEXTARRAYOID) = "
        update edge_store.endpoint
        set base_url = coalesce($2, base_url), headers = coalesce($3, headers), profile = coalesce($4, profile),
            retry = coalesce($5, case when not 'retry' = any ($18) then retry end),
            timeout_ms = coalesce($6, case when not 'timeout' = any ($18) then timeout_ms end),
            connect_timeout_ms =
                coalesce($7, case when not 'connect_timeout' = any ($18) then connect_timeout_ms end),
            max_concurrency = coalesce($8, case when not 'max_concurrency' = any ($18) then max_concurrency end),
            max_rate = coalesce($9, case when not 'max_rate' = any ($18) then max_rate end),
            max_request_bytes =
                coalesce($10, case when not 'max_request_bytes' = any ($18) then max_request_bytes end),
            max_response_bytes =
                coalesce($11, case when not 'max_response_bytes' = any ($18) then max_response_bytes end),
            signing_secrets = coalesce($12, signing_secrets),
            monthly_quota = coalesce($13, case when not 'monthly_quota' = any ($18) then monthly_quota end),
            quota_action = coalesce($14, quota_action), max_redirects = coalesce($15, max_redirects),
            client_certificate =
                coalesce($16, case when not 'client_certificate' = any ($18) then client_certificate end),
            client_key = coalesce($17, case when not 'client_certificate' = any ($18) then client_key end),
            updated_at = pg_catalog.clock_timestamp()
        where name = $1
        returning 1";

    SET_ENABLED(TEXTOID, BOOLOID, TEXTOID) = "
        update edge_store.endpoint set enabled = $2, note = $3, updated_at = pg_catalog.clock_timestamp()
        where name = $1
        returning 1";

    DROP(TEXTOID) = "delete from edge_store.endpoint where name = $1 returning 1";

    // Below the floor of the newest lease, every call is done, put off, or on the wire.
    HAS_CALLS(TEXTOID) = "
        select exists (
            select from edge_store.request
            where endpoint = $1
              and id >= coalesce((select floor from edge_store.lease order by batch desc limit 1), 0)
              and not exists (select from edge_store.response
                              where response.call_id = request.id and response.slot = request.slot)
        ) or exists (
            select from edge_store.deferred
            join edge_store.request on request.id = deferred.call_id and request.slot = deferred.slot
            where request.endpoint = $1
        ) or exists (
            select from edge_store.lease, unnest(lease.call_ids) as leased (call_id)
            join edge_store.request on request.id = leased.call_id
            where request.endpoint = $1
              and not exists (select from edge_store.response
                              where response.call_id = request.id and response.slot = request.slot)
        )";

    FIND(TEXTOID) = "
        select name, base_url, headers, profile, retry::text, timeout_ms, connect_timeout_ms, max_concurrency, max_rate,
               max_request_bytes, max_response_bytes, signing_secrets, max_redirects, client_certificate, client_key, enabled,
               monthly_quota, quota_action
        from edge_store.endpoint where $1 is null or name = $1";
}

/// Makes an endpoint. `false` if one of its name exists.
pub fn create(name: &str, changes: &Changes) -> Result<bool, Error> {
    Spi::connect_mut(|client| {
        Ok(!CREATE.with(|statement| statement.write(client, &arguments(name, changes)))?.is_empty())
    })
}

/// Changes an endpoint. `false` if there is none.
pub fn alter(name: &str, changes: &Changes) -> Result<bool, Error> {
    Spi::connect_mut(|client| {
        let mut arguments = Vec::from(arguments(name, changes));
        arguments.push(changes.reset.clone().into());
        Ok(!ALTER.with(|statement| statement.write(client, &arguments))?.is_empty())
    })
}

fn arguments<'a>(name: &'a str, changes: &'a Changes) -> [DatumWithOid<'a>; 17] {
    [
        name.into(),
        changes.base_url.as_deref().into(),
        changes.headers.as_deref().into(),
        changes.profile.as_deref().into(),
        changes.retry.into(),
        changes.timeout_ms.into(),
        changes.connect_timeout_ms.into(),
        changes.max_concurrency.into(),
        changes.max_rate.into(),
        changes.max_request_bytes.into(),
        changes.max_response_bytes.into(),
        changes.signing_secrets.clone().into(),
        changes.monthly_quota.into(),
        changes.quota_action.as_deref().into(),
        changes.max_redirects.into(),
        changes.client_certificate.as_deref().into(),
        changes.client_key.as_deref().into(),
    ]
}

/// Has an endpoint's calls sent.
pub fn enable(name: &str) -> Result<bool, Error> {
    set_enabled(name, Gate::Open, None)
}

/// Has an endpoint's calls wait.
pub fn disable(name: &str, note: Option<&str>) -> Result<bool, Error> {
    set_enabled(name, Gate::Closed, note)
}

fn set_enabled(name: &str, gate: Gate, note: Option<&str>) -> Result<bool, Error> {
    Spi::connect_mut(|client| {
        let args = [name.into(), (gate == Gate::Open).into(), note.into()];
        Ok(!SET_ENABLED.with(|statement| statement.write(client, &args))?.is_empty())
    })
}

/// Removes an endpoint. `false` if there is none.
pub fn drop(name: &str) -> Result<bool, Error> {
    Spi::connect_mut(|client| Ok(!DROP.with(|statement| statement.write(client, &[name.into()]))?.is_empty()))
}

/// Whether calls to an endpoint have not ended yet.
pub fn has_calls(name: &str) -> Result<bool, Error> {
    Spi::connect(|client| {
        let has = HAS_CALLS.with(|statement| statement.read(client, &[name.into()]))?.first().get_one::<bool>()?;
        has.ok_or(Error::Malformed)
    })
}

/// The name of an endpoint, and what is said of it.
pub type Named = (String, Result<Endpoint, Error>);

/// One endpoint.
pub fn find(name: &str) -> Result<Option<Endpoint>, Error> {
    read(Some(name))?.pop().map(|(_, endpoint)| endpoint).transpose()
}

/// The largest request body that an endpoint takes, read without SQL since it is asked for each row that a webhook tells of. `None`
/// where there is no such endpoint, or nothing can be made of what is said of it.
pub fn max_request_bytes(name: &str, setting: usize) -> Result<Option<usize>, Error> {
    let columns = [(c"profile", pg_sys::TEXTOID), (c"max_request_bytes", pg_sys::INT4OID)];
    let found = by_key::named(c"endpoint", name, &columns, |row| {
        let profile = row.get::<String>(0)?.and_then(|profile| Profile::parse(&profile).ok());
        let own = row.get::<i32>(1)?.map(|size| size.unsigned_abs() as usize);
        Ok(profile.map(|profile| endpoint::max_request_bytes(own, profile, setting)))
    })?;
    Ok(found.flatten())
}

/// All endpoints by name, and why one of them cannot be used: somebody may have written its row by hand.
pub fn all() -> Result<Vec<Named>, Error> {
    read(None)
}

fn read(name: Option<&str>) -> Result<Vec<Named>, Error> {
    Spi::connect(|client| {
        let rows = FIND.with(|statement| statement.read(client, &[name.into()]))?;
        rows.map(|row| Ok((row.get(1)?.ok_or(Error::Malformed)?, endpoint(&row)))).collect()
    })
}

fn endpoint(row: &SpiHeapTupleData<'_>) -> Result<Endpoint, Error> {
    let text = |ordinal: usize| -> Result<String, Error> { row.get(ordinal)?.ok_or(Error::Malformed) };
    let span = |ordinal: usize| -> Result<Option<Duration>, Error> {
        Ok(row.get::<i32>(ordinal)?.map(|millis| Duration::from_millis(u64::from(millis.unsigned_abs()))))
    };
    let size = |ordinal: usize| -> Result<Option<usize>, Error> {
        Ok(row.get::<i32>(ordinal)?.map(|size| size.unsigned_abs() as usize))
    };
    let profile = Profile::parse(&text(4)?)?;
    let written = row.get::<String>(5)?.map(|json| Written::parse(&json)).transpose()?.unwrap_or_default();
    let gate = if row.get(16)?.unwrap_or(true) { Gate::Open } else { Gate::Closed };
    let action = Action::parse(&text(18)?).unwrap_or(Action::Warn);
    let quota = row.get::<i64>(17)?.and_then(|attempts| u64::try_from(attempts).ok());
    Ok(Endpoint {
        quota: quota.map(|attempts| Quota { attempts, action }),
        name: Arc::from(text(1)?),
        base: endpoint::base_url(&text(2)?)?,
        headers: row.get::<String>(3)?.map(|block| header::from_block(&block)).transpose()?.unwrap_or_default(),
        retry: Arc::new(written.policy_under(profile)?),
        profile,
        lane: LanePolicy { max_concurrency: size(8)?, rate: row.get::<f64>(9)?.and_then(Rate::new), gate },
        limits: EndpointLimits {
            timeout: span(6)?,
            connect_timeout: span(7)?,
            max_request_bytes: size(10)?,
            max_response_bytes: size(11)?,
        },
        signing_secrets: row.get::<Vec<String>>(12)?.unwrap_or_default(),
        max_redirects: row.get::<i16>(13)?.and_then(|hops| u8::try_from(hops).ok()).unwrap_or(0),
        identity: row.get::<String>(14)?.zip(row.get::<String>(15)?),
    })
}
