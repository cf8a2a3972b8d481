//! A named endpoint: where calls go, with what, how fast, and how often again.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use url::{Position, Url};

use super::lane_policy::LanePolicy;
use super::pairs::PairsError;
use super::profile::Profile;
use super::quota::Quota;
use super::request::{self, RequestError};
use super::retry_policy::RetryPolicy;

/// What is known of an endpoint when its calls are sent.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Calls name it so.
    pub name: Arc<str>,
    /// What relative URLs are relative to.
    pub base: Url,
    /// Sent where a call has no header of the name. Values may hold placeholders.
    pub headers: HeaderMap,
    /// What runs behind it.
    pub profile: Profile,
    /// How often again.
    pub retry: Arc<RetryPolicy>,
    /// How much at once and how fast.
    pub lane: LanePolicy,
    /// How much in a month.
    pub quota: Option<Quota>,
    /// Limits of its own; where one is `None`, the profile's holds, and then the setting.
    pub limits: EndpointLimits,
    /// Secrets that sign requests; each may be a placeholder.
    pub signing_secrets: Vec<String>,
    /// How many redirects are followed.
    pub max_redirects: u8,
    /// A certificate to show to the peer, and its key, in PEM or as placeholders.
    pub identity: Option<(String, String)>,
}

/// What an endpoint says of times and sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointLimits {
    /// From the start of an attempt to the end of its answer.
    pub timeout: Option<Duration>,
    /// Making a connection.
    pub connect_timeout: Option<Duration>,
    /// The largest request body, in bytes.
    pub max_request_bytes: Option<usize>,
    /// The largest response body, in bytes.
    pub max_response_bytes: Option<usize>,
}

/// Why an endpoint, or a URL under it, was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Names stand beside origins such as `https://host`, so they cannot look like one.
    #[error(
        "\"{}\" is not a name for an endpoint: use letters, digits, underscores, dots and hyphens, beginning with a \
         letter or an underscore, at most 63", .0.escape_debug()
    )]
    Name(String),
    /// Not a base for URLs.
    #[error("the base URL of an endpoint must not have {0}")]
    Base(&'static str),
    /// A URL that the endpoint's headers, and so its secrets, are not meant for.
    #[error("the URL is not at the endpoint's origin {0}; give a path, or leave the endpoint out")]
    Elsewhere(String),
    /// Not a path to a function.
    #[error("\"{}\" is not the name of a function", .0.escape_debug())]
    Function(String),
    /// Not a region.
    #[error("\"{}\" is not the name of a region", .0.escape_debug())]
    Region(String),
    /// Not a URL of HTTP, or parameters that cannot be appended.
    #[error(transparent)]
    Request(#[from] RequestError),
}

/// The longest name, as of everything that has a name in Postgres.
const LONGEST_NAME: usize = 63;

/// Paths are read against this where it does not matter against what.
const NOWHERE: &str = "http://relative.invalid/";

/// Checks the name of an endpoint.
pub fn name(text: &str) -> Result<&str, EndpointError> {
    let begins = text.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    let goes_on = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if begins && goes_on && text.len() <= LONGEST_NAME {
        return Ok(text);
    }
    Err(EndpointError::Name(text.to_owned()))
}

/// Checks a base URL.
pub fn base_url(text: &str) -> Result<Url, EndpointError> {
    if text.contains('#') {
        return Err(EndpointError::Base("a fragment"));
    }
    let url = request::target(text, None)?;
    if url.query().is_some() {
        return Err(EndpointError::Base("a query; give parameters with each call"));
    }
    Ok(url)
}

/// The path of a function below its endpoint's base.
pub fn function_path(name: &str) -> Result<&str, EndpointError> {
    let is_segment = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['?', '#', '\\', '%', ':']);
    let is_plain = |text: &str| !text.chars().any(|letter| letter.is_control() || letter.is_whitespace());
    let path = name.strip_prefix('/').unwrap_or(name);
    if is_plain(path) && path.split('/').all(is_segment) {
        return Ok(path);
    }
    Err(EndpointError::Function(name.to_owned()))
}

/// The name of a region, as platforms write them: `us-east-1`.
pub fn region(name: &str) -> Result<&str, EndpointError> {
    let is_region = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_region { Ok(name) } else { Err(EndpointError::Region(name.to_owned())) }
}

/// The form in which the URL of a call to an endpoint is kept: a path stays one, so that it follows the base when that
/// is changed. Checked against the base of today.
pub fn stored(base: &Url, url: &str, params: Option<&str>) -> Result<String, EndpointError> {
    let target = resolve(base, url)?;
    let whole = request::with_params(target, params)?;
    if is_absolute(url) {
        return Ok(whole.into());
    }
    stored_path(url, params)
}

/// The same for a path, without looking at any base.
pub fn stored_path(path: &str, params: Option<&str>) -> Result<String, EndpointError> {
    let path = request::with_params(resolve(&nowhere()?, path)?, params)?;
    Ok(path[Position::BeforePath..].trim_start_matches('/').to_owned())
}

/// The URL that a stored one means now.
pub fn resolve(base: &Url, stored: &str) -> Result<Url, EndpointError> {
    if is_absolute(stored) {
        let url = request::target(stored, None)?;
        if url.origin() != base.origin() {
            return Err(EndpointError::Elsewhere(base.origin().ascii_serialization()));
        }
        return Ok(url);
    }
    let path = stored.trim_start_matches('/');
    let whole = match path {
        "" => base.as_str().to_owned(),
        path => format!("{}/{path}", base.as_str().trim_end_matches('/')),
    };
    Ok(request::target(&whole, None)?)
}

/// Whether a URL is a whole one of HTTP.
fn is_absolute(url: &str) -> bool {
    // A scheme is read without regard to case, spaces before it are skipped, and slashes may be missing.
    let start = url.trim_start().to_ascii_lowercase();
    start.starts_with("http:") || start.starts_with("https:")
}

/// The largest request body of an endpoint that says so much of its own, or nothing.
pub fn max_request_bytes(own: Option<usize>, profile: Profile, setting: usize) -> usize {
    let platform = profile.limits().max_request_bytes.unwrap_or(usize::MAX);
    own.unwrap_or(setting.min(platform))
}

fn nowhere() -> Result<Url, EndpointError> {
    Ok(request::target(NOWHERE, None)?)
}

impl Endpoint {
    /// From the start of an attempt to the end of its answer, where the call does not say.
    pub fn timeout(&self, setting: Duration) -> Duration {
        self.limits.timeout.or(self.profile.limits().total).unwrap_or(setting)
    }

    /// From the start of an attempt to its response head. A timeout that somebody chose is not cut short by a platform's.
    pub fn first_byte(&self, setting: Option<Duration>) -> Option<Duration> {
        self.profile.limits().first_byte.or(setting)
    }

    /// Between two pieces of an answer that is streamed.
    pub fn idle(&self, setting: Option<Duration>) -> Option<Duration> {
        self.profile.limits().idle.or(setting)
    }

    /// After what time a websocket's connection is replaced: as is wished, or before the platform ends it.
    pub fn socket_age(&self, wished: Option<Duration>) -> Option<Duration> {
        wished.or(self.profile.limits().socket_age)
    }

    /// The largest request body. What the endpoint itself says wins; the platform's limit only lowers the setting.
    pub fn max_request_bytes(&self, setting: usize) -> usize {
        max_request_bytes(self.limits.max_request_bytes, self.profile, setting)
    }

    /// Adds what a platform's own client would add to a request whose placeholders are filled in.
    pub fn add_credentials(&self, headers: &mut HeaderMap) {
        let Some(key) = headers.get("apikey").map(HeaderValue::as_bytes) else { return };
        if headers.contains_key(AUTHORIZATION) || !self.profile.wants_bearer(key) {
            return;
        }
        if let Ok(mut bearer) = HeaderValue::from_bytes(&[b"Bearer ", key].concat()) {
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
    }

    /// Adds the endpoint's headers to those of a call, which win.
    pub fn complete(&self, headers: &mut HeaderMap) {
        for name in self.headers.keys() {
            if headers.contains_key(name) {
                continue;
            }
            for value in self.headers.get_all(name) {
                headers.append(name.clone(), value.clone());
            }
        }
    }
}

impl From<PairsError> for EndpointError {
    fn from(error: PairsError) -> Self {
        Self::Request(error.into())
    }
}
