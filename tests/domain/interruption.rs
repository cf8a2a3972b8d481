//! What becomes of calls that were on the wire when their dispatcher ended.

use pg_edge::domain::interruption::Fate::{BrokenOff, GivenUp, SentAgain, TakenUp};
use pg_edge::domain::interruption::{Interruption, Reported};
use pg_edge::domain::outcome::FailureClass;

#[test]
fn an_interrupted_call_is_sent_again_until_it_was_interrupted_too_often_and_never_after_an_event() {
    for (events, before, expected) in
        [(0, 0, SentAgain), (0, 3, SentAgain), (0, 4, GivenUp), (0, 5, GivenUp), (1, 0, BrokenOff), (7, 4, BrokenOff)]
    {
        let found = Interruption::of_call(events, before, 5);
        assert_eq!((found.fate, found.interruptions), (expected, before + 1), "{events} events, {before} before");
        // Of a job of which nothing was heard, and never will be, it is the same.
        assert_eq!(Interruption::of_job(Reported::No, events, before, 5), found);
    }
}

#[test]
fn a_job_is_not_given_up_while_its_function_may_have_reported() {
    for before in [0, 4, 9] {
        assert_eq!(Interruption::of_job(Reported::Perhaps, 0, before, 5).fate, TakenUp, "{before} before");
    }
}

#[test]
fn the_attempt_says_how_often_it_was_interrupted_or_that_its_answer_broke_off() {
    for (found, class, why) in [
        (
            Interruption::of_call(0, 1, 5),
            FailureClass::Interrupted,
            "the worker or the server ended during the attempt (2 of 5)",
        ),
        (
            Interruption::of_call(3, 0, 5),
            FailureClass::Truncated,
            "the worker or the server ended while the answer was being streamed",
        ),
    ] {
        assert_eq!((found.class, found.why.as_str()), (class, why));
    }
}
