//! How much is measured: the budget's own sizes, or a tenth of them.

use std::time::Duration;

/// Whether this run is only for whoever works on the code.
pub fn quick() -> bool {
    std::env::var_os("PG_EDGE_BENCH_QUICK").is_some_and(|value| value != "0")
}

/// A size of the budget.
pub fn size(full: usize) -> usize {
    if quick() { full / 10 } else { full }
}

/// A span of the budget.
pub fn span(full: Duration) -> Duration {
    if quick() { full / 6 } else { full }
}

/// How often both sides of a row take their turn.
pub fn rounds(full: usize) -> usize {
    if quick() { full.min(3) } else { full }
}
