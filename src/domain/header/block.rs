//! Headers as a block of `name: value` lines, as tables keep them. No value holds a line break, so that is an unambiguous and compact
//! form.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::HeaderError;
use crate::domain::outcome::Head;

/// What stands between a name and its value.
const SEPARATOR: &str = ": ";

/// What would end a line of the block, or the whole of it.
const ENDS: [char; 3] = ['\n', '\r', '\0'];

/// The headers of a request as lines, or `None` when there are none.
pub fn to_block(headers: &HeaderMap) -> Option<String> {
    let mut block = String::new();
    for (name, value) in headers {
        push(&mut block, name.as_str(), value.as_bytes());
    }
    (!block.is_empty()).then_some(block)
}

/// Reads what [`to_block`] wrote.
pub fn from_block(block: &str) -> Result<HeaderMap, HeaderError> {
    let mut headers = HeaderMap::new();
    for line in block.lines() {
        let (name, value) = parted(line).ok_or(HeaderError::Block)?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| HeaderError::Block)?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| HeaderError::Block)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// The headers of an answer as lines. A value that is not UTF-8 is read as well as can be.
pub fn of_answer(head: &Head) -> String {
    let mut block = String::new();
    for (name, value) in &head.headers {
        push(&mut block, name, value);
    }
    block
}

/// The names and values of a block.
pub fn pairs(block: &str) -> impl Iterator<Item = (&str, &str)> {
    block.lines().filter_map(parted)
}

fn parted(line: &str) -> Option<(&str, &str)> {
    line.split_once(SEPARATOR)
}

fn push(block: &mut String, name: &str, value: &[u8]) {
    block.push_str(name);
    block.push_str(SEPARATOR);
    match str::from_utf8(value) {
        Ok(text) if !text.contains(ENDS) => block.push_str(text),
        Ok(_) | Err(_) => block.push_str(&String::from_utf8_lossy(value).replace(ENDS, " ")),
    }
    block.push('\n');
}
