//! What a schedule needs to know of a time zone: from when to when which offset holds.

/// A stretch of time in which the offset of a zone does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Seconds east of UTC.
    pub offset: i32,
    /// The unix second at which another offset begins; `None` if none does.
    pub until: Option<i64>,
}

/// A time zone. The tables of zones are kept outside the domain: in a server they are Postgres' own.
pub trait Zone {
    /// The span that holds at that unix second: its offset holds up to `until`, exclusive, which lies later than `at`.
    fn span(&self, at: i64) -> Span;
}

/// The zone in which nothing ever changes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utc;

impl Zone for Utc {
    fn span(&self, _at: i64) -> Span {
        Span { offset: 0, until: None }
    }
}
