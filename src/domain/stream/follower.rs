//! Following a stream by its meaning: its text as it comes, how it ended, and what it cost.

use memchr::memmem::Finder;
use serde_json::{Map, Value};

use super::dialect::{DONE, Dialect, End};
use super::json;
use super::usage::Usage;
use crate::domain::failure_class::FailureClass;

/// After so many events that are in no dialect, the stream has none: reading JSON is what costs most here.
const PATIENCE: u32 = 200;

/// What is known of a stream so far.
#[derive(Debug, Default)]
pub struct Follower {
    dialect: Option<Dialect>,
    end: Option<End>,
    usage: Usage,
    /// How many events were in no dialect before one was.
    unknown: u32,
    /// Find the words by which an event of the dialect tells more than text.
    telling: Vec<Finder<'static>>,
}

/// What a stream has told of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Whose events they are, where that is known.
    pub dialect: Option<Dialect>,
    /// The tokens used, as the vendor counts them.
    pub usage: Option<Map<String, Value>>,
}

/// How a stream ended, once nothing more comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// In good order.
    Complete,
    /// It broke off before it said that it was over, in a sentence.
    Truncated(String),
    /// It was given up after an event, because a limit of time was over: which one, and that in a sentence.
    GivenUp(FailureClass, String),
    /// It said itself that it failed.
    Failed(String),
}

impl Follower {
    /// Reads an event of which only the meaning for the stream as a whole counts, and not its text. Most events are but
    /// text; to find that out by a few words costs a tenth of reading their JSON.
    pub fn note(&mut self, data: &str) {
        let tells = match self.dialect {
            Some(_) => self.telling.iter().any(|word| word.find(data.as_bytes()).is_some()),
            None => self.unknown < PATIENCE && (data.trim_start().starts_with('{') || data == DONE),
        };
        if tells {
            let _text = self.read(data, json::read(data).as_ref());
        } else if self.dialect.is_none() {
            self.unknown = self.unknown.saturating_add(1);
        }
    }

    /// Reads an event; gives the text that it adds. `json` is its data, where that is JSON.
    pub fn read(&mut self, data: &str, json: Option<&Value>) -> Option<String> {
        if self.dialect.is_none() {
            if self.unknown >= PATIENCE {
                return None;
            }
            self.dialect = Dialect::recognise(data, json);
            self.unknown += u32::from(self.dialect.is_none());
            let words = self.dialect.map_or(&[][..], Dialect::telling_words);
            self.telling = words.iter().map(Finder::new).collect();
        }
        let meaning = self.dialect?.read(data, json);
        if let Some(Value::Object(usage)) = meaning.usage {
            self.usage.add(usage);
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

    /// Whether the stream has said that it is over. What happens to its connection then does not matter any more.
    pub fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// Tokens used, as the vendor counts them.
    pub fn usage(&self) -> Option<&Map<String, Value>> {
        self.usage.counts()
    }

    /// What the stream has told so far.
    pub fn account(&self) -> Account {
        Account { dialect: self.dialect, usage: self.usage().cloned() }
    }

    /// How the stream ended, given that its connection was closed in good order. A dialect that is not known has no
    /// last event, so there the end of the connection is the end.
    pub fn ended(&self) -> Ended {
        match (&self.end, self.dialect) {
            (Some(End::Failed(why)), _) => Ended::Failed(why.clone()),
            (Some(End::Complete), _) | (None, None) => Ended::Complete,
            (None, Some(dialect)) => {
                Ended::Truncated(format!("the stream ended without the event that ends one of {}", dialect.name()))
            }
        }
    }
}
