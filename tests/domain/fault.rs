//! What is wrong with an outcome: as its caller reads it, and as everybody does at the endpoint.

use pg_edge::domain::fault::Fault;
use pg_edge::domain::outcome::{Failure, FailureClass, Head, Outcome, Streamed};
use pg_edge::domain::profile::Profile;
use pg_edge::domain::profile::diagnosis::Diagnosis;
use pg_edge::domain::stream::follower::{Account, Ended};

use crate::profile_errors::answer;

fn failed(class: FailureClass) -> Outcome {
    Outcome::Failure(Failure::new(class, "its own words"))
}

fn streamed(ended: Ended) -> Outcome {
    let head = Head { status: 200, headers: Vec::new() };
    Outcome::Streamed(Box::new(Streamed { head, events: 1, ended, account: Account::default() }))
}

/// The class and the sentence for the caller, and the sentence for everybody.
fn told(outcome: &Outcome) -> Option<(FailureClass, String, Option<String>)> {
    let fault = Fault::of(outcome, &Diagnosis::of(Profile::SupabasePro, outcome))?;
    let (class, sentence) = (fault.class, fault.sentence.clone().into_owned());
    Some((class, sentence, fault.at_endpoint().map(std::borrow::Cow::into_owned)))
}

#[test]
fn what_succeeds_has_no_fault() {
    for outcome in [answer(200, &[], ""), answer(299, &[], "no"), streamed(Ended::Complete)] {
        assert_eq!(told(&outcome), None, "{outcome:?}");
    }
}

#[test]
fn every_fault_has_a_class_and_a_sentence() {
    use FailureClass::{Cancelled, Connect, HttpStatus, Interrupted, Stream, Truncated};
    let words = "its own words";
    for (outcome, class, sentence, at_endpoint) in [
        (failed(Connect), Connect, words, Some(words)),
        // Neither is the endpoint's doing.
        (failed(Cancelled), Cancelled, words, None),
        (failed(Interrupted), Interrupted, words, None),
        (streamed(Ended::Truncated(words.to_owned())), Truncated, words, Some(words)),
        // What it says may hold anything.
        (streamed(Ended::Failed(words.to_owned())), Stream, words, Some("a streamed answer said that it failed")),
        (answer(404, &[], ""), HttpStatus, "the peer answered 404 Not Found", Some("the peer answered 404 Not Found")),
        (answer(599, &[], ""), HttpStatus, "the peer answered 599", Some("the peer answered 599")),
    ] {
        let expected = (class, sentence.to_owned(), at_endpoint.map(str::to_owned));
        assert_eq!(told(&outcome), Some(expected), "{outcome:?}");
    }
}

#[test]
fn what_the_platform_says_stands_behind_the_status() {
    let (class, sentence, _) = told(&answer(546, &[("sb-error-code", "WORKER_LIMIT")], "")).unwrap();
    assert_eq!(class, FailureClass::HttpStatus);
    assert!(sentence.starts_with("the peer answered 546 (WORKER_LIMIT: "), "{sentence}");
}
