//! Many items in one call: a JSON array, cut where it would become too long.

use super::chunks::Most;

/// A list that is being written.
#[derive(Debug)]
pub struct ListWriter {
    most: Most,
    items: usize,
    text: String,
}

/// What a list has besides its items: two brackets.
pub(super) const BRACKETS: usize = 2;

impl ListWriter {
    /// An empty list, for so much at most.
    pub fn new(most: Most) -> Self {
        Self { most, items: 0, text: String::new() }
    }

    /// What a single item may have.
    pub fn room_for_one(max_bytes: usize) -> usize {
        max_bytes.saturating_sub(BRACKETS)
    }

    /// Adds an item. Gives the list as it was before, where that was full. An item that is too large by itself makes a list of
    /// its own.
    pub fn push(&mut self, item: &str) -> Option<String> {
        let with_it = self.text.len() + item.len() + BRACKETS;
        let full = self.items > 0 && (self.items == self.most.items || with_it > self.most.bytes);
        let before = if full { self.take() } else { None };
        self.text.push(if self.items == 0 { '[' } else { ',' });
        self.text.push_str(item);
        self.items += 1;
        before
    }

    /// The list, and an empty one in its place; `None` where it is empty.
    pub fn take(&mut self) -> Option<String> {
        if self.items == 0 {
            return None;
        }
        self.items = 0;
        let mut text = std::mem::take(&mut self.text);
        text.push(']');
        Some(text)
    }
}
