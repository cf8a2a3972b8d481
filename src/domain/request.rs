//! What is sent: method, URL, headers, body. Parsed and checked once, when the call is queued.

use bytes::Bytes;
use http::{HeaderMap, Method};
use url::Url;

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
