//! What is to be sent, from the arguments of a function to a request that has been checked: of a call, or of a schedule,
//! which makes a call of it each time.

use ::http::header::{CONTENT_TYPE, HeaderValue};
use ::http::{HeaderMap, Method};
use pgrx::datum::Interval;
use pgrx::prelude::*;

use super::arguments;
use crate::domain::endpoint::{self, Endpoint};
use crate::domain::{header, request};
use crate::error::Error;
use crate::guc::Settings;
use crate::store::datum::{Jsonb, Text};
use crate::store::{endpoints, owner, secrets};

/// A request as a user asked for it, unchecked.
pub struct Wanted<'a> {
    pub method: &'a str,
    pub target: Target,
    pub body: Body,
    pub manner: Manner,
}

/// How a request is to be made, unchecked.
#[derive(Clone, Copy, Default)]
pub struct Manner {
    pub params: Option<Jsonb>,
    pub headers: Option<Jsonb>,
    pub timeout: Option<Interval>,
    pub max_attempts: Option<i32>,
    pub endpoint: Option<Text>,
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
    /// A list of items, as JSON already.
    Items(String),
    /// What the platforms' own clients make of a value: a string is sent as text, everything else as JSON.
    Value(Option<Jsonb>),
    Bytes {
        bytes: Option<Vec<u8>>,
        content_type: Option<Text>,
    },
}

/// A request that has been checked.
pub struct Checked {
    pub method: Method,
    /// Whole, or a path of the endpoint.
    pub url: String,
    pub endpoint: Option<Endpoint>,
    pub headers: Option<String>,
    pub body: Option<Vec<u8>>,
    pub timeout_ms: Option<i32>,
    pub max_attempts: Option<i16>,
}

impl Checked {
    /// The name of the endpoint, if it goes to a named one.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_ref().map(|endpoint| &*endpoint.name)
    }
}

/// Checks everything that can be known to be wrong before it is sent. `owner` is whose call it will be.
pub fn check(wanted: Wanted<'_>, owner: pg_sys::Oid) -> Result<Checked, Error> {
    let Wanted { method, target, body, manner } = wanted;
    let endpoint = manner.endpoint.map(find).transpose()?;
    let params = manner.params.map(|given| given.read("params")).transpose()?;
    let url = url(&target, endpoint.as_ref(), params.as_deref())?;
    let method = request::method(method)?;
    let mut headers = match manner.headers {
        Some(given) => header::parse(&given.read("headers")?)?,
        None => HeaderMap::new(),
    };
    if let Target::Function { region: Some(region), .. } = &target {
        headers.insert("x-region", header::value("region", region)?);
    }
    let body = bytes_of(body, &mut headers)?;
    let largest = Settings::current().max_request_bytes;
    let largest = endpoint.as_ref().map_or(largest, |endpoint| endpoint.max_request_bytes(largest));
    request::within_limit(body.as_deref().unwrap_or_default(), largest)?;
    may_hold_placeholders(owner, &headers)?;
    let headers = header::to_block(&headers);
    let timeout_ms = arguments::timeout(manner.timeout)?;
    let max_attempts = arguments::max_attempts(manner.max_attempts)?;
    Ok(Checked { method, url, endpoint, headers, body, timeout_ms, max_attempts })
}

/// Refuses placeholders for secrets in the headers of a role that may not set them.
pub fn may_hold_placeholders(owner: pg_sys::Oid, headers: &HeaderMap) -> Result<(), Error> {
    if header::holds_placeholder(headers)? && !owner::acting(|| secrets::may_use(owner))? {
        return Err(Error::SecretsNotAllowed);
    }
    Ok(())
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
pub fn find(name: Text) -> Result<Endpoint, Error> {
    let name = name.read("endpoint")?;
    owner::acting(|| endpoints::find(&name))?.ok_or(Error::NoSuchEndpoint(name))
}

/// The bytes to send. A body brings its content type along, unless the user gave one.
fn bytes_of(body: Body, headers: &mut HeaderMap) -> Result<Option<Vec<u8>>, Error> {
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
        Body::Items(list) => (Some(list.into_bytes()), HeaderValue::from_static("application/json")),
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
