//! The JSON of events, as models send it.

use serde_json::Value;

/// Reads JSON, also such that has one half of a pair of surrogates: models emit their tokens as they come, and the border
/// between two of them may be in the middle of a character.
pub fn read(data: &str) -> Option<Value> {
    serde_json::from_str(data).ok().or_else(|| serde_json::from_str(&mended(data)?).ok())
}

/// The same text with U+FFFD for each escape that is half a pair; `None` where there is none.
fn mended(data: &str) -> Option<String> {
    let mut result = String::with_capacity(data.len());
    let (mut rest, mut found) = (data, false);
    while let Some(at) = rest.find('\\') {
        result.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = match (unit(rest), rest.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                found = true;
                result.push_str("\\ufffd");
                rest = &rest[6..];
                continue;
            }
            (Some(_), _) => 6,
            // A backslash and what it escapes, of which no byte is part of a longer character in JSON.
            (None, _) => rest.len().min(2),
        };
        result.push_str(rest.get(..taken)?);
        rest = &rest[taken..];
    }
    result.push_str(rest);
    found.then_some(result)
}

/// The code that an escape at the beginning of a text stands for.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}
