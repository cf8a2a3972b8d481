//! From the arguments of an `edge.http_*_async` function to a row in the queue.

use ::http::HeaderMap;
use ::http::header::{CONTENT_TYPE, HeaderValue};
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::prelude::*;
use sha2::{Digest, Sha256};

use super::arguments;
use crate::domain::endpoint::{self, Endpoint};
use crate::domain::{header, request};
use crate::error::Error;
use crate::guc::Settings;
use crate::store::datum::{Jsonb, RegProc, Text};
use crate::store::queue::{self, Claim, NewCall};
use crate::store::{calls, endpoints, owner, secrets};
use crate::worker::queued;
use crate::worker::wake::{self, reason};

/// What a user asked for, unchecked.
pub struct Asked<'a> {
    pub method: &'a str,
    pub target: Target,
    pub body: Body,
    pub params: Option<Jsonb>,
    pub headers: Option<Jsonb>,
    pub timeout: Option<Interval>,
    pub max_attempts: Option<i32>,
    pub run_at: Option<TimestampWithTimeZone>,
    pub idempotency_key: Option<Text>,
    pub stream: Option<Text>,
    pub on_complete: Option<RegProc>,
    pub endpoint: Option<Text>,
    pub metadata: Option<Jsonb>,
}

/// Where a call goes.
pub enum Target {
    /// A URL, or with an endpoint a path.
    Url(Option<Text>),
    /// A function of the endpoint, to be run in a region if one is named.
    Function { path: String, region: Option<String> },
}

/// The body of a request, by kind.
pub enum Body {
    None,
    Json(Option<Jsonb>),
    /// What the platforms' own clients make of a value: a string is sent as text, everything else as JSON.
    Value(Option<Jsonb>),
    Bytes {
        bytes: Option<Vec<u8>>,
        content_type: Option<Text>,
    },
}

/// Checks a call and queues it in the running transaction.
pub fn queue(asked: Asked<'_>) -> Result<i64, Error> {
    if asked.stream.is_some() {
        return Err(Error::NotYet("stream"));
    }
    let owner = owner::current_role();
    let endpoint = asked.endpoint.map(find).transpose()?;
    let params = asked.params.map(|given| given.read("params")).transpose()?;
    let url = url(&asked.target, endpoint.as_ref(), params.as_deref())?;
    let method = request::method(asked.method)?;
    let mut headers = match asked.headers {
        Some(given) => header::parse(&given.read("headers")?)?,
        None => HeaderMap::new(),
    };
    if let Target::Function { region: Some(region), .. } = &asked.target {
        headers.insert("x-region", header::value("region", region)?);
    }
    let body = body(asked.body, &mut headers)?;
    let largest = Settings::current().max_request_bytes;
    let largest = endpoint.as_ref().map_or(largest, |endpoint| endpoint.max_request_bytes(largest));
    request::within_limit(body.as_deref().unwrap_or_default(), largest)?;
    if header::holds_placeholder(&headers)? && !owner::acting(|| secrets::may_use(owner))? {
        return Err(Error::SecretsNotAllowed);
    }
    let headers = header::to_block(&headers);
    let on_complete = asked.on_complete.map(|function| callback(owner, function)).transpose()?;
    let idempotency_key = asked.idempotency_key.map(|key| key.read("idempotency_key")).transpose()?;
    let call = NewCall {
        owner,
        method: method.as_str(),
        url: &url,
        endpoint: endpoint.as_ref().map(|endpoint| &*endpoint.name),
        headers: headers.as_deref(),
        body: body.as_deref(),
        timeout_ms: arguments::timeout(asked.timeout)?,
        max_attempts: arguments::max_attempts(asked.max_attempts)?,
        run_at: arguments::run_at(asked.run_at)?,
        on_complete,
        idempotency_key: arguments::idempotency_key(idempotency_key.as_deref())?,
        metadata: asked.metadata.map(arguments::metadata).transpose()?,
    };
    let id = write(call)?;
    wake::at_commit(reason::CALLS);
    Ok(id)
}

/// Writes a call, unless its idempotency key names one that exists.
fn write(call: NewCall<'_>) -> Result<i64, Error> {
    let id = queue::next_id()?;
    if let Some(key) = call.idempotency_key
        && let Some(known) = owner::acting(|| claim(&call, key, id))?
    {
        return Ok(known);
    }
    let owner = call.owner;
    queued::may_queue(owner)?;
    owner::confined(|| queue::insert(id, call))?;
    queued::note(owner);
    Ok(id)
}

/// Claims an idempotency key for the call of this id; gives the call that has it already.
fn claim(call: &NewCall<'_>, key: &str, id: i64) -> Result<Option<i64>, Error> {
    let window = Settings::current().idempotency_window;
    let window = Interval::from_micros(i64::try_from(window.as_micros()).unwrap_or(i64::MAX));
    let fingerprint = fingerprint(call);
    match queue::claim_key(call.owner, key, id, &fingerprint, window)? {
        Claim::Ours => Ok(None),
        Claim::Theirs { call, fingerprint: known } if known == fingerprint => Ok(Some(call)),
        Claim::Theirs { call, .. } => Err(Error::KeyTaken { key: key.to_owned(), call }),
    }
}

/// The URL to keep: whole, or as a path where the call goes to a named endpoint.
fn url(target: &Target, endpoint: Option<&Endpoint>, params: Option<&str>) -> Result<String, Error> {
    let url = match target {
        Target::Url(url) => arguments::required(*url, "url")?.read("url")?,
        // A region counts in the query too, since some proxies drop the header.
        Target::Function { path, region: Some(region) } => format!("{path}?forceFunctionRegion={region}"),
        Target::Function { path, region: None } => path.clone(),
    };
    match endpoint {
        Some(endpoint) => Ok(endpoint::stored(&endpoint.base, &url, params)?),
        None => Ok(request::target(&url, params)?.into()),
    }
}

/// The endpoint that is named.
fn find(name: Text) -> Result<Endpoint, Error> {
    let name = name.read("endpoint")?;
    owner::acting(|| endpoints::find(&name))?.ok_or(Error::NoSuchEndpoint(name))
}

/// What makes two requests the same: everything that is sent.
fn fingerprint(call: &NewCall<'_>) -> Vec<u8> {
    let mut digest = Sha256::new();
    let endpoint = call.endpoint.unwrap_or("");
    for part in [call.method, endpoint, call.url, call.headers.unwrap_or("")].map(str::as_bytes) {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.update(call.body.unwrap_or_default());
    digest.finalize().to_vec()
}

/// The bytes to send. A body brings its content type along, unless the user gave one.
fn body(body: Body, headers: &mut HeaderMap) -> Result<Option<Vec<u8>>, Error> {
    let (bytes, content_type) = match body {
        Body::None => return Ok(None),
        Body::Json(json) => (
            json.map(|json| json.read("body")).transpose()?.map(String::into_bytes),
            HeaderValue::from_static("application/json"),
        ),
        Body::Value(value) => {
            let json = value.map(|value| value.read("body")).transpose()?;
            match json.as_deref().map(serde_json::from_str::<String>) {
                Some(Ok(text)) => (Some(text.into_bytes()), HeaderValue::from_static("text/plain")),
                _ => (json.map(String::into_bytes), HeaderValue::from_static("application/json")),
            }
        }
        Body::Bytes { bytes, content_type: Some(text) } => {
            (bytes, header::value("Content-Type", &text.read("content_type")?)?)
        }
        Body::Bytes { bytes, content_type: None } => (bytes, HeaderValue::from_static("application/octet-stream")),
    };
    if bytes.is_some() && !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, content_type);
    }
    Ok(bytes)
}

/// A function that the role may execute and that takes an `edge.response`.
fn callback(role: pg_sys::Oid, function: RegProc) -> Result<pg_sys::Oid, Error> {
    match owner::acting(|| calls::callback(role, function.0))? {
        None => Err(Error::NotExecutable(function.0.to_u32().to_string())),
        Some(found) if !found.executable => Err(Error::NotExecutable(found.name)),
        Some(found) if !found.fits => Err(Error::NotACallback(found.name)),
        Some(_) => Ok(function.0),
    }
}
