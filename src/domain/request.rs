//! What is sent: method, URL, headers, body. Parsed and checked once, when the call is queued.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::header::{self, HeaderError};
use super::pairs::{self, PairsError};

/// A request that is known to be well formed.
#[derive(Clone, Debug)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// An absolute `http` or `https` URL without user information.
    pub url: Url,
    /// Header names are tokens, values hold no CR, LF or NUL; a name may occur more than once.
    pub headers: HeaderMap,
    /// The exact bytes to send; `None` sends no body at all.
    pub body: Option<Bytes>,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not a URL.
    #[error("the URL \"{url}\" cannot be parsed: {reason}")]
    Url {
        /// As it was given, but for the parts in which credentials stand.
        url: String,
        /// What the parser said.
        reason: String,
    },
    /// A URL of something that is not HTTP.
    #[error("the URL scheme \"{0}\" is not supported; use http or https")]
    Scheme(String),
    /// Credentials in a URL end up in logs, so they are refused; the URL is not shown for the same reason.
    #[error("the URL holds a user name or password; send them in an Authorization header instead")]
    UserInfo,
    /// A host of dots alone.
    #[error("the URL names no host")]
    NoHost,
    /// More than a name in the DNS can have.
    #[error("the URL's host has {0} bytes, more than the 253 of the longest host name")]
    HostTooLong(usize),
    /// Longer than servers take.
    #[error("the URL has {0} bytes with its parameters, more than the 16384 that a URL may have")]
    UrlTooLong(usize),
    /// Larger than what is kept beside a call.
    #[error("metadata has {0} bytes, more than the 65536 that it may have")]
    MetadataTooLarge(usize),
    /// `params` is not a flat object.
    #[error("params are wrong: {0}")]
    Params(#[from] PairsError),
    /// Not a method, or one that opens a tunnel, or has the request sent back, credentials and all.
    #[error("\"{}\" is not an HTTP method that can be called", .0.escape_debug())]
    Method(String),
    /// Bad headers.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// More than `pg_edge.max_request_bytes`, or its endpoint's own limit.
    #[error("the request body has {size} bytes, more than the {limit} of max_request_bytes")]
    BodyTooLarge {
        /// Bytes given.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// RFC 1035, section 2.3.4: 255 octets on the wire, of which the length of the first label and the root take two.
const LONGEST_HOST: usize = 253;

/// What the most patient of the servers that functions run behind take (Cloudflare); others refuse half of it.
const LONGEST_URL: usize = 16 * 1024;

/// Metadata says what a call is about. What is larger belongs into a table of its own.
const LARGEST_METADATA: usize = 64 * 1024;

/// Reads an absolute `http` or `https` URL (WHATWG rules) and appends `params`, percent-encoded.
pub fn target(url: &str, params: Option<&str>) -> Result<Url, RequestError> {
    let mut parsed =
        Url::parse(url).map_err(|error| RequestError::Url { url: showable(url), reason: reason(error) })?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(RequestError::Scheme(parsed.scheme().to_owned()));
    }
    names_a_host(&parsed)?;
    // A fragment is never sent; keeping it would make two equal requests look different.
    parsed.set_fragment(None);
    with_params(parsed, params)
}

/// Refuses a URL with credentials, and one whose host is none.
pub(super) fn names_a_host(parsed: &Url) -> Result<(), RequestError> {
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(RequestError::UserInfo);
    }
    let host = parsed.host_str().unwrap_or_default();
    if host.trim_matches('.').is_empty() {
        return Err(RequestError::NoHost);
    }
    if host.len() > LONGEST_HOST {
        return Err(RequestError::HostTooLong(host.len()));
    }
    Ok(())
}

/// What the parser says, in words of a caller.
fn reason(error: url::ParseError) -> String {
    match error {
        url::ParseError::RelativeUrlWithoutBase => "it must begin with https:// or http://".to_owned(),
        other => other.to_string(),
    }
}

/// Appends `params` to a checked URL.
pub fn with_params(mut url: Url, params: Option<&str>) -> Result<Url, RequestError> {
    if let Some(params) = params {
        append(&mut url, &pairs::parse(params)?);
    }
    let length = url.as_str().len();
    if length > LONGEST_URL {
        return Err(RequestError::UrlTooLong(length));
    }
    Ok(url)
}

/// What may be shown of a URL that cannot be parsed: neither what may be user information nor the query.
pub(super) fn showable(url: &str) -> String {
    let before_query = url.split(['?', '#']).next().unwrap_or_default();
    match before_query.rsplit_once('@') {
        Some((_, rest)) => format!("***@{rest}"),
        None => before_query.to_owned(),
    }
}

/// Adds parameters to the query. A space becomes `%20`: `+` means a space only to those who read a query as a form,
/// `%20` means one to everybody.
fn append(url: &mut Url, pairs: &[(String, String)]) {
    if pairs.is_empty() {
        return;
    }
    // A `+` of the value itself is encoded as `%2B`, so each one left stands for a space.
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
    let given = url.query().filter(|query| !query.is_empty()).map(str::to_owned);
    let added = pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    let query: Vec<String> = given.into_iter().chain(added).collect();
    url.set_query(Some(&query.join("&")));
}

/// Reads a method name. Names are case-sensitive (RFC 9110, section 9.1); the usual ones are accepted in any case.
pub fn method(name: &str) -> Result<Method, RequestError> {
    let upper = name.to_ascii_uppercase();
    match Method::from_bytes(upper.as_bytes()) {
        Ok(Method::CONNECT | Method::TRACE) | Err(_) => Err(RequestError::Method(name.to_owned())),
        // An old relative of TRACE, which answers with the request as well.
        Ok(method) if method.as_str() == "TRACK" => Err(RequestError::Method(name.to_owned())),
        Ok(method) => Ok(method),
    }
}

/// Refuses a body over the limit.
pub fn within_limit(body: &[u8], limit: usize) -> Result<(), RequestError> {
    if body.len() > limit {
        return Err(RequestError::BodyTooLarge { size: body.len(), limit });
    }
    Ok(())
}

/// Refuses metadata over the limit.
pub fn metadata_within_limit(size: usize) -> Result<(), RequestError> {
    if size > LARGEST_METADATA { Err(RequestError::MetadataTooLarge(size)) } else { Ok(()) }
}

/// The origin a URL belongs to (RFC 6454), which names its implicit endpoint.
pub fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Where stored requests go. Most calls go where the one before went, and parsing a URL anew costs more than reading
/// the call's row.
#[derive(Debug, Default)]
pub struct Targets {
    last: Option<Target>,
}

#[derive(Debug)]
struct Target {
    text: String,
    url: Url,
    origin: Arc<str>,
}

impl Targets {
    /// The origin of a stored URL, and the URL.
    pub fn find(&mut self, text: &str) -> Result<(Arc<str>, Url), RequestError> {
        if let Some(last) = self.last.as_ref().filter(|last| last.text == text) {
            return Ok((Arc::clone(&last.origin), last.url.clone()));
        }
        let url = target(text, None)?;
        let origin = Arc::from(origin(&url));
        self.last = Some(Target { text: text.to_owned(), url: url.clone(), origin: Arc::clone(&origin) });
        Ok((origin, url))
    }
}

/// Reads back what was stored of a checked request, but for its URL.
pub fn restore(
    method_name: &str,
    url: Url,
    headers: Option<&str>,
    body: Option<Bytes>,
) -> Result<Request, RequestError> {
    let headers = headers.map(header::from_block).transpose()?.unwrap_or_default();
    Ok(Request { method: method(method_name)?, url, headers, body })
}
