//! Cutting a list of items into the bodies of calls.

use super::writer::{BRACKETS, ListWriter};

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

/// The bodies: the items in their order, as many in each as may be.
pub fn chunks(items: &[Option<String>], most: Most) -> Result<Vec<String>, BatchError> {
    let (mut bodies, mut list) = (Vec::new(), ListWriter::new(most));
    for (position, item) in (1..).zip(items) {
        let item = item.as_deref().ok_or(BatchError::Null(position))?;
        let alone = item.len() + BRACKETS;
        if alone > most.bytes {
            return Err(BatchError::TooLarge { position, size: alone, limit: most.bytes });
        }
        bodies.extend(list.push(item));
    }
    bodies.extend(list.take());
    Ok(bodies)
}
