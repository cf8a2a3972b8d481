//! Where a websocket goes, checked when it is asked for.
//!
//! Everywhere else an endpoint's base is a URL of HTTP, and its paths are kept as those of calls are; only what is opened has the
//! scheme of a websocket.

use url::Url;

use crate::domain::endpoint::{self, EndpointError};
use crate::domain::placeholder;
use crate::domain::request::{self, RequestError};

/// Why a URL was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a URL.
    #[error("the URL \"{url}\" cannot be parsed: {reason}")]
    Url {
        /// As it was given, but for the parts in which credentials stand.
        url: String,
        /// What the parser said.
        reason: String,
    },
    /// A URL of something else.
    #[error("the URL scheme \"{0}\" is not supported for a websocket; use wss or ws")]
    Scheme(String),
    /// RFC 6455, section 3: it must not have one.
    #[error("the URL of a websocket must not have a fragment")]
    Fragment,
    /// URLs are shown and logged, by us and by everybody on the way.
    #[error("the URL holds a placeholder for a secret; secrets are for headers")]
    Secret,
    /// What no request may have.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// What the endpoint does not take.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

/// The form in which the URL of a websocket is kept: whole, or with an endpoint a path that follows its base. Checked against the
/// base of today.
pub fn stored(url: &str, base: Option<&Url>) -> Result<String, AddressError> {
    if url.contains('#') {
        return Err(AddressError::Fragment);
    }
    if !matches!(placeholder::is_in(url), Ok(false)) {
        return Err(AddressError::Secret);
    }
    match base {
        None => Ok(whole(url)?.into()),
        Some(base) => Ok(endpoint::stored(base, &of_http(url), None)?),
    }
}

/// The URL that a stored one means now. Its scheme is `ws` or `wss`.
pub fn resolve(stored: &str, base: Option<&Url>) -> Result<Url, AddressError> {
    match base {
        None => whole(stored),
        Some(base) => of_websocket(endpoint::resolve(base, stored)?),
    }
}

/// Reads an absolute URL (WHATWG rules).
fn whole(url: &str) -> Result<Url, AddressError> {
    let parsed =
        Url::parse(url).map_err(|error| AddressError::Url { url: request::showable(url), reason: reason(error) })?;
    let parsed = of_websocket(parsed)?;
    request::names_a_host(&parsed)?;
    Ok(request::with_params(parsed, None)?)
}

fn reason(error: url::ParseError) -> String {
    match error {
        url::ParseError::RelativeUrlWithoutBase => "it must begin with wss:// or ws://".to_owned(),
        other => other.to_string(),
    }
}

/// The same URL by the scheme of a websocket, which is how browsers read one of HTTP.
fn of_websocket(mut url: Url) -> Result<Url, AddressError> {
    let scheme = match url.scheme() {
        "ws" | "http" => "ws",
        "wss" | "https" => "wss",
        other => return Err(AddressError::Scheme(other.to_owned())),
    };
    // The setter refuses nothing among these four.
    match url.set_scheme(scheme) {
        Ok(()) => Ok(url),
        Err(()) => Err(AddressError::Scheme(url.scheme().to_owned())),
    }
}

/// The same text by the scheme of HTTP, where it is that of a websocket.
fn of_http(url: &str) -> String {
    let start = url.trim_start();
    let is = |scheme: &str| start.get(..scheme.len()).is_some_and(|given| given.eq_ignore_ascii_case(scheme));
    if is("ws:") {
        format!("http:{}", &start["ws:".len()..])
    } else if is("wss:") {
        format!("https:{}", &start["wss:".len()..])
    } else {
        url.to_owned()
    }
}
