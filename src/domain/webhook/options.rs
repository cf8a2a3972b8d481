//! The options of a webhook, a JSON object of which every member is optional.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::error::WebhookError;
use crate::domain::batch::{MOST_ITEMS, USUAL_ITEMS};

/// What may be given, in the order of the page that describes it.
pub const NAMES: [&str; 14] = [
    "batch",
    "max_items",
    "when_changed",
    "columns",
    "headers",
    "params",
    "timeout",
    "max_attempts",
    "job",
    "on_complete",
    "metadata",
    "metadata_columns",
    "method",
    "delay",
];

/// So much is shown of a value that is refused.
const SHOWN: usize = 60;

/// What was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `batch` and `max_items`.
    pub grouping: Grouping,
    /// Which updates are told of.
    pub when_changed: WhenChanged,
    /// The columns that are sent; all of them where nothing is said.
    pub columns: Option<Vec<String>>,
    /// JSON, to be read as that of a call.
    pub headers: Option<String>,
    /// JSON, to be read as that of a call.
    pub params: Option<String>,
    /// An interval as Postgres reads it.
    pub timeout: Option<String>,
    /// How often a call is tried.
    pub max_attempts: Option<i32>,
    /// What the function is given where it may accept now and complete later.
    pub job: Option<Job>,
    /// A function with its schema.
    pub on_complete: Option<String>,
    /// A JSON object.
    pub metadata: Option<String>,
    /// Columns of the row that become part of the metadata.
    pub metadata_columns: Vec<String>,
    /// POST where nothing is said.
    pub method: Option<String>,
    /// An interval as Postgres reads it.
    pub delay: Option<String>,
}

/// The limits of a job, as intervals that Postgres reads; those that are usual where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// How long a delivery may take.
    pub deadline: Option<String>,
    /// How long a function that has accepted may be silent.
    pub heartbeat: Option<String>,
}

/// How many rows go into a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    /// One.
    #[default]
    OneByOne,
    /// A list of at most so many.
    Batches(usize),
}

/// Which updates are told of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WhenChanged {
    /// All, also those that leave the row as it was.
    #[default]
    Always,
    /// Those that change something.
    Any,
    /// Those that change one of these columns.
    OneOf(Vec<String>),
}

impl Options {
    /// Reads the object.
    pub fn parse(json: &str) -> Result<Self, WebhookError> {
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(json).map_err(|_| WebhookError::NotAnObject)?;
        if let Some(unknown) = members.keys().find(|name| !NAMES.contains(&name.as_str())) {
            return Err(WebhookError::Unknown(unknown.clone()));
        }
        let given = Given(members);
        let options = Self {
            grouping: given.grouping()?,
            when_changed: given.when_changed()?,
            columns: given.columns()?,
            headers: given.object("headers")?,
            params: given.object("params")?,
            timeout: given.interval("timeout")?,
            max_attempts: given.read("max_attempts", "a whole number")?,
            job: given.job()?,
            on_complete: given.read("on_complete", "the name of a function")?,
            metadata: given.object("metadata")?,
            metadata_columns: given.names("metadata_columns")?.unwrap_or_default(),
            method: given.read("method", "the name of a method, such as \"PUT\"")?,
            delay: given.interval("delay")?,
        };
        if options.grouping != Grouping::OneByOne && !options.metadata_columns.is_empty() {
            return Err(WebhookError::RowOfBatch);
        }
        Ok(options)
    }

    /// The options that name columns, and what they name.
    pub fn named_columns(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let changed = match &self.when_changed {
            WhenChanged::OneOf(columns) => columns.as_slice(),
            WhenChanged::Always | WhenChanged::Any => &[],
        };
        [
            ("when_changed", changed),
            ("columns", self.columns.as_deref().unwrap_or_default()),
            ("metadata_columns", &self.metadata_columns),
        ]
        .into_iter()
        .flat_map(|(option, columns)| columns.iter().map(move |column| (option, column.as_str())))
    }
}

/// The members of the object; null is as good as none.
struct Given<'a>(BTreeMap<String, &'a RawValue>);

impl Given<'_> {
    fn get(&self, option: &str) -> Option<&str> {
        self.0.get(option).map(|value| value.get()).filter(|value| *value != "null")
    }

    fn read<T: DeserializeOwned>(&self, option: &'static str, wanted: &'static str) -> Result<Option<T>, WebhookError> {
        let Some(json) = self.get(option) else { return Ok(None) };
        serde_json::from_str(json).map(Some).map_err(|_| refused(option, wanted, json))
    }

    fn grouping(&self) -> Result<Grouping, WebhookError> {
        let most: Option<usize> = self.read("max_items", "a whole number from 1 to 10000")?;
        if let (Some(most), Some(json)) = (most, self.get("max_items"))
            && !(1..=MOST_ITEMS).contains(&most)
        {
            return Err(refused("max_items", "a whole number from 1 to 10000", json));
        }
        let batch: Option<bool> = self.read("batch", "true or false")?;
        match (batch.unwrap_or(false), most) {
            (true, most) => Ok(Grouping::Batches(most.unwrap_or(USUAL_ITEMS))),
            (false, None) => Ok(Grouping::OneByOne),
            (false, Some(_)) => Err(WebhookError::Alone { option: "max_items", needed: "\"batch\": true" }),
        }
    }

    fn when_changed(&self) -> Result<WhenChanged, WebhookError> {
        match self.get("when_changed") {
            None | Some("false") => Ok(WhenChanged::Always),
            Some("true") => Ok(WhenChanged::Any),
            Some(json) => match serde_json::from_str::<Vec<String>>(json) {
                Ok(columns) if !columns.is_empty() => Ok(WhenChanged::OneOf(columns)),
                _ => Err(refused("when_changed", "true or a list of columns", json)),
            },
        }
    }

    fn job(&self) -> Result<Option<Job>, WebhookError> {
        match self.get("job") {
            None | Some("false") => Ok(None),
            Some("true") => Ok(Some(Job::default())),
            // A list would be read as the members in their order.
            Some(json) => match serde_json::from_str(json) {
                Ok(job) if json.starts_with('{') => Ok(Some(job)),
                _ => {
                    let wanted = "true or an object such as {\"deadline\": \"5 min\", \"heartbeat\": \"30 s\"}";
                    Err(refused("job", wanted, json))
                }
            },
        }
    }

    fn names(&self, option: &'static str) -> Result<Option<Vec<String>>, WebhookError> {
        self.read(option, "a list of columns")
    }

    /// None at all is no choice, but a mistake.
    fn columns(&self) -> Result<Option<Vec<String>>, WebhookError> {
        match self.names("columns")? {
            Some(columns) if columns.is_empty() => Err(refused("columns", "a list of columns", "[]")),
            columns => Ok(columns),
        }
    }

    /// An object, as it stands there: numbers keep their digits.
    fn object(&self, option: &'static str) -> Result<Option<String>, WebhookError> {
        match self.get(option) {
            Some(json) if !json.starts_with('{') => Err(refused(option, "a JSON object", json)),
            other => Ok(other.map(str::to_owned)),
        }
    }

    fn interval(&self, option: &'static str) -> Result<Option<String>, WebhookError> {
        self.read(option, "an interval, such as \"10 s\"")
    }
}

/// A value that will not do.
pub fn refused(option: &'static str, wanted: &'static str, given: &str) -> WebhookError {
    let shown: String = given.chars().take(SHOWN).collect();
    let given = if shown.len() < given.len() { format!("{shown}…") } else { shown };
    WebhookError::Value { option, wanted, given }
}
