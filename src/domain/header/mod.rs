//! Request headers: checked when a call is queued, kept as a block of lines (`block`), read back when it is sent.

pub mod block;
pub mod own;

use std::collections::BTreeSet;

use http::header::{HeaderMap, HeaderName, HeaderValue};

pub use self::block::{from_block, to_block};
use super::pairs::{self, PairsError};
use super::placeholder::{self, Kind, Placeholder, PlaceholderError, Segment};

/// Why headers were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not an object of scalars.
    #[error("headers are wrong: {0}")]
    Shape(#[from] PairsError),
    /// The name is not a token in the sense of RFC 9110, section 5.1.
    #[error("\"{}\" is not a valid header name", .0.escape_debug())]
    Name(String),
    /// The value could break out of its line.
    #[error("the value of header \"{0}\" holds a carriage return, line feed, NUL or another control character")]
    Value(String),
    /// The header belongs to the connection or the attempt, not to the request.
    #[error("header \"{0}\" is set by pg_edge itself and cannot be given")]
    Reserved(String),
    /// More than servers take.
    #[error("the headers have more than the 65536 bytes that they may have in all")]
    TooLarge,
    /// A stored block that this version cannot read.
    #[error("the stored headers cannot be read")]
    Block,
}

/// Headers that frame the message on the wire, where a second, differing one is how requests are smuggled.
const FRAMING: [&str; 8] =
    ["connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"];

/// Names and values together, each with its separators. No common server takes more.
const LARGEST: usize = 64 * 1024;

/// Reads and checks the `headers` argument, a flat JSON object.
pub fn parse(json: &str) -> Result<HeaderMap, HeaderError> {
    let mut headers = HeaderMap::new();
    let mut size = 0;
    for (name, value) in pairs::parse(json)? {
        // A colon and a space, and the end of the line.
        size += name.len() + value.len() + 4;
        if size > LARGEST {
            return Err(HeaderError::TooLarge);
        }
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| HeaderError::Name(name.clone()))?;
        if is_reserved(parsed.as_str()) {
            return Err(HeaderError::Reserved(name));
        }
        let value = HeaderValue::from_str_or_bytes(&value).ok_or(HeaderError::Value(name))?;
        headers.append(parsed, value);
    }
    Ok(headers)
}

/// Whether nobody may give this header: pg_edge itself sets it.
fn is_reserved(name: &str) -> bool {
    FRAMING.contains(&name) || own::OF_REQUESTS.contains(&name)
}

/// Reads one header value that pg_edge itself was given as text, such as an idempotency key.
pub fn value(name: &'static str, text: &str) -> Result<HeaderValue, HeaderError> {
    if text.len() > LARGEST {
        return Err(HeaderError::TooLarge);
    }
    HeaderValue::from_str_or_bytes(text).ok_or_else(|| HeaderError::Value(name.to_owned()))
}

/// A value that is not to be shown, by this process or any library in it. `None` where it could break out of its line.
pub fn secret_value(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str_or_bytes(text)?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether a value among the headers holds a placeholder for a secret. One that is malformed is an error.
pub fn holds_placeholder(headers: &HeaderMap) -> Result<bool, PlaceholderError> {
    let mut holds = false;
    for value in headers.values() {
        // What was given as text is text still.
        holds |= placeholder::is_in(std::str::from_utf8(value.as_bytes()).unwrap_or_default())?;
    }
    Ok(holds)
}

/// The secrets of `edge.set_secret` that placeholders among the headers stand for.
pub fn secret_names(headers: &HeaderMap) -> Result<BTreeSet<String>, PlaceholderError> {
    let mut names = BTreeSet::new();
    for value in headers.values() {
        for segment in placeholder::parse(std::str::from_utf8(value.as_bytes()).unwrap_or_default())? {
            if let Segment::Placeholder(Placeholder { kind: Kind::Secret, name }) = segment {
                names.insert(name);
            }
        }
    }
    Ok(names)
}

trait FromText: Sized {
    /// `HeaderValue::from_str` refuses text beyond ASCII, which RFC 9110 lets pass as opaque bytes.
    fn from_str_or_bytes(text: &str) -> Option<Self>;
}

impl FromText for HeaderValue {
    fn from_str_or_bytes(text: &str) -> Option<Self> {
        HeaderValue::from_bytes(text.as_bytes()).ok()
    }
}
