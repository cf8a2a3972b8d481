//! Where in an event's JSON its text is, for streams that speak no dialect that is known.

use serde_json::Value;

/// A way from a value to one inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(Vec<String>);

/// A path that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("path must be like choices,0,delta,content or $.choices[0].delta.content, not {0}")]
pub struct PathError(String);

impl Path {
    /// Reads one in either of the two spellings that SQL has: the elements of Postgres' own `#>>`, with or without their
    /// braces, or that part of SQL/JSON's language which names one value.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let trimmed = text.trim();
        let steps = match trimmed.strip_prefix('$') {
            Some(rest) => steps(rest),
            None => elements(trimmed),
        };
        steps.map(Self).ok_or_else(|| PathError(text.to_owned()))
    }

    /// What stands there. As with `#>>`, an element is a member of an object or an index into an array, which counts from
    /// the end where it is negative.
    pub fn find<'a>(&self, json: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(json, |value, step| match value {
            Value::Object(members) => members.get(step),
            Value::Array(elements) => elements.get(index(step, elements.len())?),
            _ => None,
        })
    }
}

fn index(step: &str, length: usize) -> Option<usize> {
    let index: i64 = step.parse().ok()?;
    let from_the_end = || length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?);
    usize::try_from(index).ok().or_else(from_the_end)
}

fn elements(text: &str) -> Option<Vec<String>> {
    let inner = text.strip_prefix('{').map_or(Some(text), |rest| rest.strip_suffix('}'))?;
    let steps = inner.split(',').map(str::trim);
    steps.map(|step| plain(step).then(|| step.to_owned())).collect()
}

/// Quotes and braces would mean something else to Postgres than to this.
fn plain(step: &str) -> bool {
    !step.is_empty() && !step.contains(['"', '\\', '{', '}'])
}

fn steps(mut rest: &str) -> Option<Vec<String>> {
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let (step, left) = match rest.strip_prefix('.') {
            Some(member) => member_of(member)?,
            None => subscript_of(rest.strip_prefix('[')?)?,
        };
        steps.push(step);
        rest = left;
    }
    (!steps.is_empty()).then_some(steps)
}

fn member_of(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        return quoted_name(quoted);
    }
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let is_name = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-');
    (!name.is_empty() && name.chars().all(is_name)).then(|| (name.to_owned(), rest))
}

fn subscript_of(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (name, rest) = quoted_name(quoted)?;
        return Some((name, rest.strip_prefix(']')?));
    }
    let (number, rest) = text.split_once(']')?;
    number.parse::<i64>().ok()?;
    Some((number.to_owned(), rest))
}

fn quoted_name(text: &str) -> Option<(String, &str)> {
    let (name, rest) = text.split_once('"')?;
    (!name.contains('\\')).then(|| (name.to_owned(), rest))
}
