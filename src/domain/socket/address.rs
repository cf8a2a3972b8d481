//! Where a websocket goes.

use url::Url;

use crate::domain::endpoint::{self, EndpointError};
use crate::domain::request::{self, RequestError};

/// Why a URL is not one of a websocket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Of something else than a websocket.
    #[error("the URL scheme \"{0}\" is not supported; use wss or ws")]
    Scheme(String),
    /// What the handshake sends has no place for one.
    #[error("the URL of a websocket must not have a fragment")]
    Fragment,
    /// Not a URL, or not one that the endpoint takes.
    #[error(transparent)]
    Url(#[from] EndpointError),
}

impl From<RequestError> for AddressError {
    fn from(error: RequestError) -> Self {
        Self::Url(error.into())
    }
}

/// Reads the URL of a websocket, which may be written as one of HTTP. With a base, it may be a path.
pub fn address(url: &str, base: Option<&Url>) -> Result<Url, AddressError> {
    if url.contains('#') {
        return Err(AddressError::Fragment);
    }
    let over_http = as_http(url);
    let parsed = match base {
        None => request::target(&over_http, None).map_err(|error| match error {
            RequestError::Scheme(scheme) => AddressError::Scheme(scheme),
            other => other.into(),
        })?,
        Some(base) => endpoint::resolve(base, &over_http)?,
    };
    as_websocket(parsed)
}

/// `ws` and `http` are the same rules for hosts, ports and paths under two names, and so are `wss` and `https`.
fn as_http(url: &str) -> String {
    let trimmed = url.trim_start();
    let scheme = |name: &str| trimmed.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    if scheme("wss:") {
        format!("https:{}", &trimmed["wss:".len()..])
    } else if scheme("ws:") {
        format!("http:{}", &trimmed["ws:".len()..])
    } else {
        trimmed.to_owned()
    }
}

fn as_websocket(mut url: Url) -> Result<Url, AddressError> {
    let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
    match url.set_scheme(scheme) {
        Ok(()) => Ok(url),
        Err(()) => Err(AddressError::Scheme(url.scheme().to_owned())),
    }
}
