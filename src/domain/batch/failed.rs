//! Which items an answer says have failed.
//!
//! It says so with status 207, or with a header `x-failed-jobs` that counts them; and which, in its body: `{"failed": [0, {"index": 2}]}`
//! by their places in the list, counted from 0, or `{"failedJobs": [{…}]}` by the items themselves, to whose members the function may
//! have added others.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::matching::{Known, Unfound};
use crate::domain::outcome::Response;

/// Why it is not clear which items have failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// It counts them, and that is all.
    #[error("the answer says in x-failed-jobs that items have failed, and its body does not say which")]
    Untold,
    /// What it says cannot be read.
    #[error("the answer is about single items, and its body is not JSON")]
    NotJson,
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
    /// They are too many, and too different.
    #[error(
        "the items are too different from each other to be found by \"failedJobs\" in the answer; name their indexes in \"failed\""
    )]
    TooDifferent,
}

/// What an answer says of items. All else in it may be whatever it likes.
#[derive(Default, Deserialize)]
struct Told<'a> {
    #[serde(borrow, default)]
    failed: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "failedJobs")]
    failed_jobs: Option<&'a RawValue>,
}

/// An entry that says more than an index.
#[derive(Deserialize)]
struct Indexed {
    index: u64,
}

/// The header of the functions that Supabase shows for queues.
const COUNT: &str = "x-failed-jobs";

/// Which some write before JSON.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether the answer may say that items have failed.
pub fn may_tell(answer: &Response) -> bool {
    answer.head.status == 207 || (matches!(answer.head.status, 200..=299) && counts_some(answer))
}

/// The places of the items that have failed, in order.
pub fn items(sent: &[&RawValue], answer: &Response) -> Result<Vec<usize>, Unclear> {
    let told = told(&answer.body)?;
    let mut failed = BTreeSet::new();
    for entry in entries(told.failed, "failed")? {
        failed.insert(index(entry, sent.len())?);
    }
    let jobs = entries(told.failed_jobs, "failedJobs")?;
    if !jobs.is_empty() {
        let mut known = Known::of(sent);
        for (position, job) in jobs.into_iter().enumerate() {
            failed.extend(known.take(job).map_err(|unfound| match unfound {
                Unfound::Unknown => Unclear::Unknown(position),
                Unfound::TooMuchWork => Unclear::TooDifferent,
            })?);
        }
    }
    if failed.is_empty() && counts_some(answer) {
        return Err(Unclear::Untold);
    }
    Ok(failed.into_iter().collect())
}

/// What a body says of items. An empty one says nothing, nor does JSON that is no object; what is no JSON may have said something.
fn told(body: &[u8]) -> Result<Told<'_>, Unclear> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body).trim_ascii();
    if body.is_empty() {
        return Ok(Told::default());
    }
    let value: &RawValue = serde_json::from_slice(body).map_err(|_| Unclear::NotJson)?;
    if value.get().starts_with('{') {
        return serde_json::from_str(value.get()).map_err(|_| Unclear::NotJson);
    }
    Ok(Told::default())
}

/// The entries of a list; no list is an empty one.
fn entries<'a>(list: Option<&'a RawValue>, name: &'static str) -> Result<Vec<&'a RawValue>, Unclear> {
    list.map_or(Ok(Vec::new()), |list| serde_json::from_str(list.get()).map_err(|_| Unclear::NoList(name)))
}

fn index(entry: &RawValue, items: usize) -> Result<usize, Unclear> {
    let text = entry.get();
    let index = if text.starts_with('{') {
        serde_json::from_str(text).map(|Indexed { index }| index)
    } else {
        serde_json::from_str(text)
    };
    let index = index.map_err(|_| Unclear::NoIndex)?;
    usize::try_from(index).ok().filter(|index| *index < items).ok_or(Unclear::Beyond { index, items })
}

fn counts_some(answer: &Response) -> bool {
    answer.head.header(COUNT).and_then(|count| count.trim().parse::<u64>().ok()).is_some_and(|count| count > 0)
}
