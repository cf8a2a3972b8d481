//! How a stream has ended.

use pg_edge::domain::outcome::{Failure, FailureClass};
use pg_edge::domain::stream::ending::{Rest, Stop, decide};
use pg_edge::domain::stream::follower::{Ended, Follower};

fn follower(events: &[&str]) -> Follower {
    let mut follower = Follower::default();
    events.iter().for_each(|data| follower.note(data));
    follower
}

#[test]
fn a_stream_ends_by_what_it_said_and_else_by_why_it_stopped() {
    const DELTA: &str = r#"{"choices":[{"delta":{"content":"Hi"}}]}"#;
    const ERROR: &str = r#"{"error":{"message":"Sorry"}}"#;
    let failure = |class| Failure::new(class, "why");
    let broken = || Stop::Broken(failure(FailureClass::Protocol));
    let late = || Stop::Late(failure(FailureClass::IdleTimeout));
    let exceeded = || Stop::Exceeded(failure(FailureClass::ResponseTooLarge));
    let ended = |rest| Stop::Ended(rest);
    let unfinished = || ended(Rest::Unfinished("x".to_owned()));
    let truncated = |why: &str| Ok(Ended::Truncated(why.to_owned()));
    let failed = |why: &str| Ok(Ended::Failed(why.to_owned()));
    let without_last = "the stream ended without the event that ends one of openai_chat";
    for (said, stop, wanted) in [
        // It is over, whatever happened then, if only it was within its limits.
        (&[DELTA, "[DONE]"][..], broken(), Ok(Ended::Complete)),
        (&[DELTA, "[DONE]"], late(), Ok(Ended::Complete)),
        (&[DELTA, "[DONE]"], unfinished(), Ok(Ended::Complete)),
        (&[DELTA, "[DONE]"], ended(Rest::Nothing), Ok(Ended::Complete)),
        (&[DELTA, "[DONE]"], exceeded(), Err(FailureClass::ResponseTooLarge)),
        (&[ERROR], broken(), failed("Sorry")),
        // It has begun.
        (&[DELTA], broken(), truncated("why")),
        (&[DELTA], late(), Ok(Ended::GivenUp(FailureClass::IdleTimeout, "why".to_owned()))),
        (&[DELTA], exceeded(), Err(FailureClass::ResponseTooLarge)),
        (&[DELTA], unfinished(), truncated("the stream ended in the middle of an event")),
        (&[DELTA], ended(Rest::Nothing), truncated(without_last)),
        (&["words"], unfinished(), truncated("the stream ended in the middle of an event")),
        (&["words"], ended(Rest::Nothing), Ok(Ended::Complete)),
        // Nothing has come of it.
        (&[], broken(), Err(FailureClass::Protocol)),
        (&[], late(), Err(FailureClass::IdleTimeout)),
        (&[], unfinished(), Err(FailureClass::Protocol)),
        (&[], ended(Rest::Foreign), failed("the answer holds no event: its lines are none of an event stream")),
        (&[], ended(Rest::Nothing), Ok(Ended::Complete)),
    ] {
        let decided = decide(&follower(said), said.len() as u64, stop.clone());
        assert_eq!(decided.map_err(|failure| failure.class), wanted, "{said:?}, then {stop:?}");
    }
}
