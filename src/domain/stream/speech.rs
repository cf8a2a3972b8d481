//! The text of a stream, event by event: what a reader sees typed out.

use serde_json::Value;

use super::follower::Follower;
use super::json;
use super::path::Path;
use crate::domain::text;

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
            Self::At(path) => path.find(&json::read(data)?).and_then(said_at),
            Self::Spoken(follower) => spoken(follower, data),
        };
        let text = text.filter(|text| !text.is_empty())?;
        Some(text::without_nul(text.into()).into_owned())
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
    let json = json::read(data);
    let text = follower.read(data, json.as_ref());
    match (follower.dialect(), json) {
        (Some(_), _) => text,
        (None, Some(Value::Object(_) | Value::Array(_))) => None,
        (None, _) => Some(data.to_owned()),
    }
}
