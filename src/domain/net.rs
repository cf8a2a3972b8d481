//! What users of pg_net are used to: how URLs are read and headers are given there.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::value::RawValue;
use url::{ParseError, Url};

use super::request::showable;

/// Everything but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why a URL was refused, in the words that users of pg_net know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid URL \"{url}\": {reason}")]
pub struct BadUrl {
    url: String,
    reason: &'static str,
}

/// A text as it may stand in the query of a URL.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// A URL with parameters that are encoded already.
pub fn with_params(given: &str, params: &[String]) -> Result<String, BadUrl> {
    let mut url = parse(given).map_err(|reason| BadUrl { url: showable(given), reason })?;
    if !params.is_empty() {
        let before = url.query().filter(|query| !query.is_empty()).map(str::to_owned);
        let query: Vec<String> = before.into_iter().chain(params.iter().cloned()).collect();
        url.set_query(Some(&query.join("&")));
    }
    Ok(url.into())
}

fn parse(given: &str) -> Result<Url, &'static str> {
    // The standard of browsers mends these; whoever sends them from a database has made a mistake.
    if given.chars().any(|c| c.is_ascii_control() || c == ' ') {
        return Err("Malformed input to a URL function");
    }
    let url = Url::parse(given).map_err(|error| match error {
        ParseError::RelativeUrlWithoutBase => "Bad scheme",
        ParseError::EmptyHost => "No host part in the URL",
        ParseError::InvalidPort => "Port number was not a decimal number between 0 and 65535",
        ParseError::IdnaError
        | ParseError::InvalidIpv4Address
        | ParseError::InvalidIpv6Address
        | ParseError::InvalidDomainCharacter => "Bad hostname",
        _ => "Malformed input to a URL function",
    })?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err("Unsupported URL scheme"),
    }
}

/// Headers without those that have no value: there, a null or empty one is not sent. What is no object is given back as it
/// is, to be refused like any other.
pub fn headers(json: &str) -> String {
    let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(json) else { return json.to_owned() };
    let given = members.into_iter().filter(|(_, value)| !matches!(value.get(), "null" | "\"\""));
    let given: BTreeMap<String, &RawValue> = given.collect();
    serde_json::to_string(&given).unwrap_or_else(|_| json.to_owned())
}
