//! What may be said of a websocket beside its URL: headers, subprotocols, and how it is closed.

use http::HeaderMap;

use crate::domain::header::{self, HeaderError};

use super::plan::Farewell;

/// Why a wish was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WishError {
    /// Not a token in the sense of RFC 9110, section 5.6.2, as RFC 6455, section 4.1 wants it.
    #[error("\"{}\" is not the name of a subprotocol: it may have letters, digits and !#$%&'*+-.^_`|~", .0.escape_debug())]
    Subprotocol(String),
    /// RFC 6455, section 4.1: they must all be different.
    #[error("subprotocol \"{0}\" is given twice")]
    Twice(String),
    /// More than servers take in a header.
    #[error("the subprotocols have more than the 8192 bytes that they may have in all")]
    TooManySubprotocols,
    /// A header that has an argument of its own.
    #[error("header \"{0}\" cannot be given; name the subprotocols by the argument subprotocols")]
    UseSubprotocols(String),
    /// A code that only pg_edge and its peer may use (RFC 6455, section 7.4).
    #[error("code must be 1000 or between 3000 and 4999, not {0}")]
    Code(i32),
    /// It shares a control frame of 125 bytes with the code.
    #[error("reason has {0} bytes, more than the 123 that it may have")]
    Reason(usize),
    /// Bad headers.
    #[error(transparent)]
    Header(#[from] HeaderError),
}

/// The names of subprotocols in one header, with what stands between them.
const LONGEST_OFFER: usize = 8 * 1024;

/// What a close frame holds beside its code.
const LONGEST_REASON: usize = 123;

/// The header that `subprotocols` makes.
const SUBPROTOCOL_HEADER: &str = "sec-websocket-protocol";

/// Those that only a handshake may have all begin so.
const OF_THE_HANDSHAKE: &str = "sec-websocket-";

/// Checks the names of subprotocols.
pub fn subprotocols(names: &[String]) -> Result<(), WishError> {
    let mut size = 0;
    for (position, name) in names.iter().enumerate() {
        if name.is_empty() || !name.bytes().all(is_of_a_token) {
            return Err(WishError::Subprotocol(name.clone()));
        }
        if names[..position].contains(name) {
            return Err(WishError::Twice(name.clone()));
        }
        size += name.len() + 2;
        if size > LONGEST_OFFER {
            return Err(WishError::TooManySubprotocols);
        }
    }
    Ok(())
}

fn is_of_a_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Reads and checks the `headers` argument, a flat JSON object.
pub fn headers(json: &str) -> Result<HeaderMap, WishError> {
    let headers = header::parse(json)?;
    for name in headers.keys() {
        if name == SUBPROTOCOL_HEADER {
            return Err(WishError::UseSubprotocols(name.to_string()));
        }
        if name.as_str().starts_with(OF_THE_HANDSHAKE) {
            return Err(HeaderError::Reserved(name.to_string()).into());
        }
    }
    Ok(headers)
}

/// Checks how a websocket is to be closed. The codes are those that a browser lets its pages use.
pub fn farewell(code: i32, reason: String) -> Result<Farewell, WishError> {
    let code = match u16::try_from(code) {
        Ok(code @ (1000 | 3000..=4999)) => code,
        _ => return Err(WishError::Code(code)),
    };
    if reason.len() > LONGEST_REASON {
        return Err(WishError::Reason(reason.len()));
    }
    Ok(Farewell { code, reason })
}
