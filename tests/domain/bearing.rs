//! What attempts say of their endpoint.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pg_edge::domain::bearing::Bearing;
use pg_edge::domain::breaker::Health;
use pg_edge::domain::outcome::{Failure, FailureClass, Outcome};
use pg_edge::domain::profile::diagnosis::Diagnosis;
use pg_edge::domain::retry_policy::RetryPolicy;
use pg_edge::domain::stream::follower::Account;
use pg_edge::domain::tally::Reach;

use crate::profile_errors::answer;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

#[test]
fn an_answer_reaches_and_silence_does_not_and_one_apart_holds_up_nothing() {
    let silent = Failure::new(FailureClass::Connect, "nobody is there");
    let cut = Failure::new(FailureClass::Protocol, "it broke off").after_events(1, Account::default());
    let (policy, nothing) = (RetryPolicy::default(), Diagnosis::default());
    for (outcome, reach, health, parks_endpoint) in [
        (answer(200, &[], ""), Reach::Answered, Health::Well, None),
        (answer(503, &[], ""), Reach::Answered, Health::Ill, None),
        (answer(429, &[("retry-after", "7")], ""), Reach::Answered, Health::Well, Some(now() + Duration::from_secs(7))),
        // That status is no reason to try again, so nobody is asked to wait.
        (answer(404, &[("retry-after", "7")], ""), Reach::Answered, Health::Well, None),
        (Outcome::Failure(silent), Reach::Silent, Health::Ill, None),
        (Outcome::Failure(cut), Reach::Answered, Health::Ill, None),
    ] {
        let found = Bearing::of(&outcome, &policy, &nothing, now());
        assert_eq!(found, Bearing { reach, health, parks_endpoint }, "{outcome:?}");
        let apart = Bearing { reach, health: Health::Unknown, parks_endpoint: None };
        assert_eq!(Bearing::of_one_apart(&outcome), apart, "{outcome:?}");
    }
}
