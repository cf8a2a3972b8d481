//! Many rows in one call: a JSON array, cut where it would become too long.

/// A list that is being written.
#[derive(Debug)]
pub struct Batch {
    max_items: usize,
    max_bytes: usize,
    items: usize,
    text: String,
}

/// The brackets.
const BRACKETS: usize = 2;

impl Batch {
    /// An empty list, for so many items and bytes at most.
    pub fn new(max_items: usize, max_bytes: usize) -> Self {
        Self { max_items, max_bytes, items: 0, text: String::new() }
    }

    /// What a single item may have.
    pub fn room_for_one(max_bytes: usize) -> usize {
        max_bytes.saturating_sub(BRACKETS)
    }

    /// Adds an item. Gives the list as it was before, where that was full. An item that is too large by itself makes a list of
    /// its own.
    pub fn push(&mut self, item: &str) -> Option<String> {
        let with_it = self.text.len() + item.len() + BRACKETS;
        let full = self.items > 0 && (self.items == self.max_items || with_it > self.max_bytes);
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
