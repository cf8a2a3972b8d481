//! What becomes of calls that were on the wire when their dispatcher ended.

use pg_edge::domain::interruption::Fate::{BrokenOff, GivenUp, SentAgain};
use pg_edge::domain::interruption::fate;

#[test]
fn an_interrupted_call_is_sent_again_until_it_was_interrupted_too_often_and_never_after_an_event() {
    for (events, interruptions, expected) in
        [(0, 1, SentAgain), (0, 4, SentAgain), (0, 5, GivenUp), (0, 6, GivenUp), (1, 1, BrokenOff), (7, 5, BrokenOff)]
    {
        assert_eq!(fate(events, interruptions, 5), expected, "{events} events, {interruptions} interruptions");
    }
}
