//! A row as JSON, taken apart only where a part of it is wanted.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A row, as `row_to_json` writes it, or what was left of it.
#[derive(Clone, Debug)]
pub enum Record<'a> {
    /// All of it.
    Whole(&'a str),
    /// Some of its columns, in the table's order.
    Parts(Vec<Column<'a>>),
}

/// A column and its value, which is JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column<'a> {
    /// As it is written in the catalog.
    pub name: Cow<'a, str>,
    /// As `row_to_json` writes it.
    pub value: &'a str,
}

impl<'a> Record<'a> {
    /// Its columns.
    pub fn into_columns(self) -> Vec<Column<'a>> {
        match self {
            Self::Whole(json) => columns(json),
            Self::Parts(columns) => columns,
        }
    }

    /// The same with these columns alone.
    #[must_use]
    pub fn only(self, wanted: &[String]) -> Self {
        self.retain(|name| wanted.iter().any(|column| column == name))
    }

    /// The same without these columns.
    #[must_use]
    pub fn without(self, unwanted: &[String]) -> Self {
        if unwanted.is_empty() { self } else { self.retain(|name| unwanted.iter().all(|column| column != name)) }
    }

    fn retain(self, keep: impl Fn(&str) -> bool) -> Self {
        let mut columns = self.into_columns();
        columns.retain(|column| keep(&column.name));
        Self::Parts(columns)
    }

    /// How many bytes it has as JSON.
    pub fn size(&self) -> usize {
        match self {
            Self::Whole(json) => json.len(),
            Self::Parts(columns) => 2 + columns.iter().map(Column::size).sum::<usize>(),
        }
    }

    /// Appends it as JSON.
    pub fn write(&self, to: &mut String) {
        match self {
            Self::Whole(json) => to.push_str(json),
            Self::Parts(columns) => {
                to.push('{');
                for (place, column) in columns.iter().enumerate() {
                    if place > 0 {
                        to.push(',');
                    }
                    to.push_str(&quoted(&column.name));
                    to.push(':');
                    to.push_str(column.value);
                }
                to.push('}');
            }
        }
    }
}

impl Column<'_> {
    /// What it takes in an object, with its colon and a comma.
    pub fn size(&self) -> usize {
        quoted(&self.name).len() + self.value.len() + 2
    }
}

/// A text as JSON.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The members of an object, in their order. What is no object has none.
fn columns(json: &str) -> Vec<Column<'_>> {
    struct Members;

    impl<'de> Visitor<'de> for Members {
        type Value = Vec<Column<'de>>;

        fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
            to.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
            let mut columns = Vec::new();
            while let Some((name, value)) = members.next_entry::<String, &'de RawValue>()? {
                columns.push(Column { name: Cow::Owned(name), value: value.get() });
            }
            Ok(columns)
        }
    }

    serde_json::Deserializer::from_str(json).deserialize_map(Members).unwrap_or_default()
}
