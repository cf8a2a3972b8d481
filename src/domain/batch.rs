//! A call whose body is a list of items, of which a part may be sent again.

/// How often the items of a call have come back before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round(pub i16);
