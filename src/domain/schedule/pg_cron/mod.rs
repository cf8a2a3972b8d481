//! What jobs of pg_cron are made of: its dialect of schedules where that differs from ours, and commands that do nothing but
//! send a request by pg_net.

mod constant;
mod net_call;
mod obstacle;
mod token;

pub use net_call::{NetCall, net_call};
pub use obstacle::{Obstacle, Whose, obstacle};

/// A schedule of pg_cron's in our dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// What it means here.
    pub schedule: String,
    /// What stood behind it. pg_cron reads no further than the fifth field, whatever follows.
    pub ignored: Option<String>,
}

/// How many fields pg_cron reads.
const FIELDS: usize = 5;

/// Takes over a schedule. With six fields the first would be seconds here, so what pg_cron ignores has to go.
pub fn schedule(text: &str) -> Taken {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let takes = match words.as_slice() {
        [name, ..] if name.starts_with('@') => 1,
        [number, unit, ..] if number.parse::<u32>().is_ok() && is_seconds(unit) => 2,
        _ => FIELDS,
    };
    let (taken, ignored) = words.split_at(takes.min(words.len()));
    Taken { schedule: taken.join(" "), ignored: (!ignored.is_empty()).then(|| ignored.join(" ")) }
}

fn is_seconds(unit: &str) -> bool {
    unit.eq_ignore_ascii_case("second") || unit.eq_ignore_ascii_case("seconds")
}
