//! Cutting a list of items into the bodies of calls.

use super::list;

/// How much may go into one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most {
    /// Items.
    pub items: usize,
    /// Bytes of the body.
    pub bytes: usize,
}

/// Why items cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// A null of SQL, which is no JSON.
    #[error("item {0} of items is null; for the null of JSON write 'null'::jsonb")]
    Null(usize),
    /// Too large to be sent even alone.
    #[error("item {position} of items makes a body of {size} bytes by itself, more than the {limit} that one may have")]
    TooLarge {
        /// Which, counted from 1.
        position: usize,
        /// Bytes of a body with this item alone.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// What a list has besides its items: two brackets.
const BRACKETS: usize = 2;

/// The bodies: the items in their order, as many in each as may be.
pub fn chunks(items: &[Option<String>], most: Most) -> Result<Vec<String>, BatchError> {
    let mut bodies = Vec::new();
    let (mut chunk, mut size): (Vec<&str>, usize) = (Vec::new(), BRACKETS);
    for (position, item) in (1..).zip(items) {
        let item = item.as_deref().ok_or(BatchError::Null(position))?;
        let alone = item.len() + BRACKETS;
        if alone > most.bytes {
            return Err(BatchError::TooLarge { position, size: alone, limit: most.bytes });
        }
        // And the comma before it.
        if !chunk.is_empty() && (chunk.len() == most.items || size + item.len() + 1 > most.bytes) {
            bodies.push(list(&std::mem::take(&mut chunk)));
            size = BRACKETS;
        }
        size += item.len() + usize::from(!chunk.is_empty());
        chunk.push(item);
    }
    if !chunk.is_empty() {
        bodies.push(list(&chunk));
    }
    Ok(bodies)
}
