//! A call whose body is a list of items: how a list is cut into calls, and what becomes of the items when the answer says
//! that there were too many of them, or that some have failed.
//!
//! Items are cut out and put together as text, so that each is sent again as it was sent before, to the last digit.

pub mod chunks;
mod failed;
mod look;
mod matching;
pub mod writer;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::outcome::{Outcome, Response};

/// As many items as a call has where nothing is said.
pub const USUAL_ITEMS: usize = 100;

/// More items than this say little each, and finding those that have failed among them takes its time.
pub const MOST_ITEMS: usize = 10_000;

/// How often the items of a call have come back before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round(pub i16);

impl Round {
    /// The round after this one, if there may be so many in all.
    pub fn next(self, most: u32) -> Option<Self> {
        let next = self.0.saturating_add(1);
        (u32::from(next.unsigned_abs()) < most).then_some(Self(next))
    }

    /// How many rounds there have been with this one.
    pub fn count(self) -> u32 {
        u32::from(self.0.unsigned_abs()) + 1
    }
}

/// What becomes of the items of a call, by the answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upshot {
    /// What becomes of any call with this answer.
    Plain,
    /// They were too many at once: each half is sent by itself.
    Halved([Bytes; 2]),
    /// So many of them have failed, and are sent again as this body.
    Again {
        /// How many.
        items: usize,
        /// The list of them.
        body: Bytes,
    },
    /// The answer says that some have failed, and not clearly which: a sentence that tells what is unclear.
    Unclear(String),
}

/// Whether the answer is one after which the items have to be looked at.
pub fn concerns_items(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Response(answer) => is_too_much(answer) || failed::may_tell(answer),
        Outcome::Streamed(_) | Outcome::Failure(_) => false,
    }
}

/// What becomes of the items. `sent` is the body that was sent, where it can still be read.
pub fn upshot(sent: Option<&[u8]>, answer: &Response) -> Upshot {
    let items = sent.and_then(read).unwrap_or_default();
    if is_too_much(answer) {
        return halved(&items).map_or(Upshot::Plain, Upshot::Halved);
    }
    match failed::items(&items, answer) {
        Ok(failed) if failed.is_empty() => Upshot::Plain,
        Ok(failed) => Upshot::Again { items: failed.len(), body: body(failed.iter().map(|index| items[*index])) },
        Err(fault) => Upshot::Unclear(fault.to_string()),
    }
}

/// The peer, or its platform, could not take so much at once: the body was too large, or the function ran out of memory or time.
fn is_too_much(answer: &Response) -> bool {
    matches!(answer.head.status, 413 | 546)
}

/// Both halves of a list, the first one the longer. A list of one item has none.
fn halved(items: &[&RawValue]) -> Option<[Bytes; 2]> {
    if items.len() < 2 {
        return None;
    }
    let (first, second) = items.split_at(items.len().div_ceil(2));
    Some([body(first.iter().copied()), body(second.iter().copied())])
}

/// The items of a list.
fn read(sent: &[u8]) -> Option<Vec<&RawValue>> {
    serde_json::from_str(str::from_utf8(sent).ok()?).ok()
}

/// The list of some items.
fn body<'a>(items: impl Iterator<Item = &'a RawValue>) -> Bytes {
    let items: Vec<&str> = items.map(RawValue::get).collect();
    Bytes::from(format!("[{}]", items.join(",")))
}
