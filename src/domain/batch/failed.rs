//! Which items an answer says have failed.
//!
//! It says so with status 207, or with a header `x-failed-jobs` that counts them; and which, in its body: `{"failed": [0, {"index": 2}]}`
//! by their places in the list, counted from 0, or `{"failedJobs": [{…}]}` by the items themselves, to whose members the function may
//! have added others.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::value::RawValue;

use super::matching::Known;
use crate::domain::outcome::Response;

/// Why it is not clear which items have failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// It counts them, and that is all.
    #[error("the answer says in x-failed-jobs that items have failed, and its body does not say which")]
    Untold,
    /// Something else is where the list should be.
    #[error("\"{0}\" in the answer is no list")]
    NoList(&'static str),
    /// Not a place in a list.
    #[error("an entry of \"failed\" in the answer is neither the index of an item nor an object with its \"index\"")]
    NoIndex,
    /// A place beyond the list.
    #[error("the answer says that item {index} has failed, and {items} were sent, counted from 0")]
    Beyond {
        /// Which.
        index: u64,
        /// How many there were.
        items: usize,
    },
    /// Not an item.
    #[error("entry {0} of \"failedJobs\" in the answer, counted from 0, is none of the items that were sent")]
    Unknown(usize),
}

/// The header of the functions that Supabase shows for queues.
const COUNT: &str = "x-failed-jobs";

/// Whether the answer may say that items have failed.
pub fn may_tell(answer: &Response) -> bool {
    answer.head.status == 207 || (matches!(answer.head.status, 200..=299) && counts_some(answer))
}

/// The places of the items that have failed, in order.
pub fn items(sent: &[&RawValue], answer: &Response) -> Result<Vec<usize>, Unclear> {
    let told = serde_json::from_slice::<Value>(&answer.body).unwrap_or(Value::Null);
    let mut failed = BTreeSet::new();
    for entry in entries(&told, "failed")? {
        failed.insert(index(entry, sent.len())?);
    }
    let jobs = entries(&told, "failedJobs")?;
    if !jobs.is_empty() {
        let mut known = Known::of(sent);
        for (position, job) in jobs.iter().enumerate() {
            failed.insert(known.take(job).ok_or(Unclear::Unknown(position))?);
        }
    }
    if failed.is_empty() && counts_some(answer) {
        return Err(Unclear::Untold);
    }
    Ok(failed.into_iter().collect())
}

/// A list among the members of an answer; no list is an empty one.
fn entries<'a>(told: &'a Value, name: &'static str) -> Result<&'a [Value], Unclear> {
    match told.get(name) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(entries)) => Ok(entries),
        Some(_) => Err(Unclear::NoList(name)),
    }
}

fn index(entry: &Value, items: usize) -> Result<usize, Unclear> {
    let index = entry.as_u64().or_else(|| entry.get("index")?.as_u64()).ok_or(Unclear::NoIndex)?;
    usize::try_from(index).ok().filter(|index| *index < items).ok_or(Unclear::Beyond { index, items })
}

fn counts_some(answer: &Response) -> bool {
    answer.head.header(COUNT).and_then(|count| count.trim().parse::<u64>().ok()).is_some_and(|count| count > 0)
}
