//! Which events of a stream are kept together.
//!
//! Models send a few bytes at a time. As a row of a table, and an entry of its index, an event costs many times what it says;
//! so small ones share a row. A large one has its own, and none has to wait for others.

use super::StreamEvent;

/// What a row holds of several events, in bytes of their texts.
const MOST_BYTES: usize = 8 * 1024;

/// So many events share a row at most.
const MOST_EVENTS: usize = 256;

/// The same events, cut into runs that are kept together.
pub fn runs(events: &[StreamEvent]) -> impl Iterator<Item = &[StreamEvent]> {
    let mut rest = events;
    std::iter::from_fn(move || {
        let (run, behind) = rest.split_at(length(rest));
        rest = behind;
        (!run.is_empty()).then_some(run)
    })
}

/// How many of these, from the first one on, are kept together.
fn length(events: &[StreamEvent]) -> usize {
    let mut bytes = 0;
    let fits = |event: &&StreamEvent| {
        bytes += event.text_bytes();
        bytes <= MOST_BYTES
    };
    let fitting = events.iter().take(MOST_EVENTS).take_while(fits).count();
    fitting.max(events.len().min(1))
}
