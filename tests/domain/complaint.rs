//! What is wrong all the time is said only now and then.

use std::time::{Duration, Instant};

use pg_edge::domain::complaint::{Complaints, SAME_AGAIN};

#[test]
fn the_same_is_said_again_after_a_while_and_something_else_at_once() {
    let began = Instant::now();
    let tick = Duration::from_millis(1);
    let mut complaints = Complaints::default();
    for (text, after, is_due) in [
        ("no room", Duration::ZERO, true),
        ("no room", tick, false),
        ("no room", SAME_AGAIN - tick, false),
        ("no room", SAME_AGAIN, true),
        ("no room", SAME_AGAIN * 2 - tick, false),
        ("no server", SAME_AGAIN * 2 - tick, true),
        ("no room", SAME_AGAIN * 2 - tick, true),
        ("no room", SAME_AGAIN * 2, false),
    ] {
        assert_eq!(complaints.is_due(text, began + after), is_due, "{text} after {after:?}");
    }
}
