//! Following a stream by its meaning: its text as it comes, how it ended, and what it cost.

use serde_json::{Map, Value};

use super::dialect::{Dialect, End};

/// What is known of a stream so far.
#[derive(Debug, Default)]
pub struct Follower {
    dialect: Option<Dialect>,
    end: Option<End>,
    usage: Map<String, Value>,
}

/// How a stream ended, once nothing more comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// In good order.
    Complete,
    /// It broke off before it said that it was over.
    Truncated,
    /// It said itself that it failed.
    Failed(String),
}

impl Follower {
    /// Reads an event; gives the text that it adds. `json` is its data, where that is JSON.
    pub fn read(&mut self, data: &str, json: Option<&Value>) -> Option<String> {
        if self.dialect.is_none() {
            self.dialect = Dialect::recognise(data, json);
        }
        let meaning = self.dialect?.read(data, json);
        if let Some(Value::Object(usage)) = meaning.usage {
            self.usage.extend(usage);
        }
        // An error is the last word, whatever follows it.
        if !matches!(self.end, Some(End::Failed(_))) {
            self.end = meaning.end.or_else(|| self.end.take());
        }
        meaning.text
    }

    /// Whose stream it is, as far as that is known.
    pub fn dialect(&self) -> Option<Dialect> {
        self.dialect
    }

    /// Tokens used, as the vendor counts them.
    pub fn usage(&self) -> Option<&Map<String, Value>> {
        (!self.usage.is_empty()).then_some(&self.usage)
    }

    /// How the stream ended, given that its connection was closed in good order. A dialect that is not known has no
    /// last event, so there the end of the connection is the end.
    pub fn ended(&self) -> Ended {
        match (&self.end, self.dialect) {
            (Some(End::Failed(why)), _) => Ended::Failed(why.clone()),
            (Some(End::Complete), _) | (None, None) => Ended::Complete,
            (None, Some(_)) => Ended::Truncated,
        }
    }
}
