//! The text of a stream, event by event: what a reader sees typed out.

use serde_json::Value;

use super::follower::Follower;
use super::path::Path;

/// Reads the text out of the events of one stream, from its first one on.
#[derive(Debug)]
pub enum Speech {
    /// Every event is a piece of the text.
    Pieces,
    /// The text is what stands at a path.
    At(Path),
    /// The text is where the stream's dialect has it.
    Spoken(Follower),
}

impl Speech {
    /// The text that an event adds, if it adds any. It holds no U+0000, which Postgres' `text` cannot.
    pub fn read(&mut self, data: &str) -> Option<String> {
        let text = match self {
            Self::Pieces => Some(data.to_owned()),
            Self::At(path) => path.find(&json(data)?).and_then(said_at),
            Self::Spoken(follower) => spoken(follower, data),
        };
        let text = text.filter(|text| !text.is_empty())?;
        Some(if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text })
    }
}

/// As `#>>` prints it.
fn said_at(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// As long as the dialect is not known, plain words are text and anything that has members is not: nobody can say which of
/// them would be.
fn spoken(follower: &mut Follower, data: &str) -> Option<String> {
    let json = json(data);
    let text = follower.read(data, json.as_ref());
    match (follower.dialect(), json) {
        (Some(_), _) => text,
        (None, Some(Value::Object(_) | Value::Array(_))) => None,
        (None, _) => Some(data.to_owned()),
    }
}

/// Reads JSON, also such that has one half of a pair of surrogates: models emit their tokens as they come, and the border
/// between two of them may be in the middle of a character.
fn json(data: &str) -> Option<Value> {
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
