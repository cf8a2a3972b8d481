//! Which outcomes are final, when the next try is made, and what a peer may ask for.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use pg_edge::domain::breaker::Health;
use pg_edge::domain::outcome::{Failure, FailureClass, Head, Outcome, Response, Retryability, Streamed};
use pg_edge::domain::profile::diagnosis::Diagnosis;
use pg_edge::domain::retry::{
    Charge, History, LONGEST_RETRY_AFTER, Verdict, asks_to_wait, decide, health as outcome_health, is_too_old,
    retry_after,
};
use pg_edge::domain::retry_policy::RetryPolicy;
use pg_edge::domain::stream::follower::{Account, Ended};
use proptest::prelude::*;

/// After so many charged attempts.
fn tried(charged: u32) -> History {
    History { charged, max_attempts: None, born_at: now() }
}

#[test]
fn the_default_policy_is_that_of_the_contract() {
    let policy = RetryPolicy::default();
    let (base, cap, jitter) = (Duration::from_secs(1), Duration::from_secs(3600), Duration::from_secs(1));
    assert_eq!((policy.max_attempts, policy.base, policy.factor, policy.cap), (3, base, 2.0, cap));
    assert_eq!((policy.jitter, policy.max_age), (jitter, None));
}

#[test]
fn a_call_may_be_given_more_or_fewer_attempts_than_its_endpoint() {
    for (max_attempts, again) in [(Some(1), false), (None, true), (Some(5), true)] {
        let verdict = decide(
            &RetryPolicy::default(),
            &History { max_attempts, ..tried(1) },
            &answer(503, &[]),
            &Diagnosis::default(),
            now(),
            0.0,
        );
        assert_eq!(matches!(verdict, Verdict::Retry(_)), again, "{max_attempts:?}");
    }
}

#[test]
fn a_call_that_would_be_too_old_at_its_next_try_is_given_up() {
    let policy = RetryPolicy { max_age: Some(Duration::from_secs(60)), ..RetryPolicy::default() };
    for (age, again) in [(0, true), (58, true), (60, false)] {
        let history = History { born_at: now() - Duration::from_secs(age), ..tried(1) };
        let verdict = decide(&policy, &history, &answer(503, &[]), &Diagnosis::default(), now(), 0.0);
        assert_eq!(matches!(verdict, Verdict::Retry(_)), again, "{age} s old");
    }
    assert!(is_too_old(&policy, now() - Duration::from_secs(61), now()));
}

#[test]
fn what_speaks_against_an_endpoint_is_its_own_failure_and_not_the_caller_s_or_ours() {
    for (status, health) in [
        (200, Health::Well),
        (404, Health::Well),
        (429, Health::Well),
        (500, Health::Ill),
        (501, Health::Well),
        (503, Health::Ill),
    ] {
        assert_eq!(outcome_health(&answer(status, &[])), health, "{status}");
    }
    for (class, health) in [
        (FailureClass::Timeout, Health::Ill),
        (FailureClass::Dns, Health::Ill),
        (FailureClass::IdleTimeout, Health::Ill),
        (FailureClass::ResponseTooLarge, Health::Well),
        (FailureClass::EventTooLarge, Health::Well),
        (FailureClass::Cancelled, Health::Unknown),
        (FailureClass::Exhausted, Health::Unknown),
    ] {
        assert_eq!(outcome_health(&Outcome::Failure(Failure::new(class, ""))), health, "{class:?}");
    }
}

#[test]
fn every_status_is_a_success_a_failure_or_tried_again() {
    for status in 100..1000 {
        let verdict =
            decide(&RetryPolicy::default(), &tried(1), &answer(status, &[]), &Diagnosis::default(), now(), 0.0);
        let retried =
            matches!(status, 408 | 425 | 429) || ((500..600).contains(&status) && status != 501 && status != 505);
        match verdict {
            Verdict::Succeeded => assert!((200..300).contains(&status), "{status}"),
            Verdict::Failed => assert!(!retried && !(200..300).contains(&status), "{status}"),
            Verdict::Truncated => panic!("a body is never truncated: {status}"),
            Verdict::Retry(retry) => {
                assert!(retried, "{status}");
                assert_eq!(retry.charge, Charge::Attempt, "{status}");
            }
        }
    }
}

#[test]
fn every_class_of_failure_is_final_or_tried_again_at_somebody_s_cost() {
    use FailureClass as Class;
    for class in FailureClass::ALL {
        let verdict = decide(
            &RetryPolicy::default(),
            &tried(1),
            &Outcome::Failure(Failure::new(class, "")),
            &Diagnosis::default(),
            now(),
            0.0,
        );
        let charge = if let Verdict::Retry(retry) = verdict { Some(retry.charge) } else { None };
        let expected = match class {
            Class::Dns
            | Class::Connect
            | Class::ConnectTimeout
            | Class::Tls
            | Class::FirstByteTimeout
            | Class::Timeout
            | Class::Protocol
            | Class::IdleTimeout
            | Class::Internal => Some(Charge::Attempt),
            Class::Interrupted | Class::Exhausted => Some(Charge::Nothing),
            Class::Blocked
            | Class::Redirect
            | Class::ResponseTooLarge
            | Class::EventTooLarge
            | Class::Truncated
            | Class::Stream
            | Class::InvalidRequest
            | Class::Secret
            | Class::Cancelled
            | Class::HttpStatus
            | Class::Expired
            | Class::LeaseExpired
            | Class::Job
            | Class::Split
            | Class::Items => None,
        };
        assert_eq!(charge, expected, "{class:?}");
    }
}

#[test]
fn once_an_event_has_been_handed_on_nothing_is_tried_again() {
    for class in FailureClass::ALL {
        for (events, wanted) in [(0, class.retryability()), (1, Retryability::Final), (9, Retryability::Final)] {
            let failure = Failure::new(class, "").after_events(events, Account::default());
            assert_eq!(failure.retryability(), wanted, "{class:?} after {events} events");
            let verdict = decide(
                &RetryPolicy::default(),
                &tried(1),
                &Outcome::Failure(failure),
                &Diagnosis::default(),
                now(),
                0.0,
            );
            assert_eq!(verdict == Verdict::Failed, wanted == Retryability::Final, "{class:?} after {events} events");
        }
    }
}

#[test]
fn a_stream_succeeds_when_it_is_complete_and_is_never_tried_again() {
    let (broke_off, overloaded) = (("truncated", "broke off"), ("stream", "overloaded"));
    let silent = ("idle_timeout", "nothing came");
    let given_up = Ended::GivenUp(FailureClass::IdleTimeout, silent.1.to_owned());
    for (ended, verdict, health, fault) in [
        (Ended::Complete, Verdict::Succeeded, Health::Well, None),
        (Ended::Truncated(broke_off.1.to_owned()), Verdict::Truncated, Health::Ill, Some(broke_off)),
        (given_up, Verdict::Truncated, Health::Ill, Some(silent)),
        (Ended::Failed(overloaded.1.to_owned()), Verdict::Failed, Health::Unknown, Some(overloaded)),
    ] {
        let outcome = streamed(ended);
        assert_eq!(
            decide(&RetryPolicy::default(), &tried(1), &outcome, &Diagnosis::default(), now(), 0.0),
            verdict,
            "{outcome:?}"
        );
        assert_eq!(outcome_health(&outcome), health, "{outcome:?}");
        let Outcome::Streamed(streamed) = &outcome else { panic!("it is a stream") };
        assert_eq!(streamed.fault().map(|(class, why)| (class.name(), why)), fault);
    }
}

#[test]
fn the_last_attempt_is_the_last() {
    for (charged, again) in [(1, true), (2, true), (3, false), (4, false)] {
        let verdict =
            decide(&RetryPolicy::default(), &tried(charged), &answer(503, &[]), &Diagnosis::default(), now(), 0.5);
        assert_eq!(matches!(verdict, Verdict::Retry(_)), again, "after {charged} attempts");
    }
    // What was our own fault is made good, however often the peer was tried.
    let exhausted = Outcome::Failure(Failure::new(FailureClass::Exhausted, ""));
    assert!(matches!(
        decide(&RetryPolicy::default(), &tried(9), &exhausted, &Diagnosis::default(), now(), 0.5),
        Verdict::Retry(_)
    ));
}

#[test]
fn retry_after_is_read_in_all_its_forms() {
    let day = LONGEST_RETRY_AFTER.as_secs();
    let table: [(&str, Option<u64>); 17] = [
        ("0", Some(0)),
        ("120", Some(120)),
        (" 120 ", Some(120)),
        ("86400", Some(day)),
        ("86401", Some(day)),
        ("99999999999999999999999999", Some(day)),
        ("-1", None),
        ("1.5", None),
        ("", None),
        ("soon", None),
        ("1e3", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
        ("Tue, 14 Nov 2023 22:14:20 GMT", Some(60)),
        ("Tuesday, 14-Nov-23 22:14:20 GMT", Some(60)),
        ("Tue Nov 14 22:14:20 2023", Some(60)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", Some(day)),
        ("Tue, 14 Nov 2023", None),
    ];
    for (value, seconds) in table {
        let head = Head { status: 503, headers: vec![("Retry-After".into(), Bytes::from(value))] };
        let expected = seconds.map(|seconds| now() + Duration::from_secs(seconds));
        assert_eq!(retry_after(&head, now()), expected, "{value:?}");
    }
    let broken = Head { status: 503, headers: vec![("retry-after".into(), Bytes::from_static(b"\xff"))] };
    assert_eq!(retry_after(&broken, now()), None);
}

proptest! {
    #[test]
    fn a_wait_lies_between_the_backoff_and_the_backoff_with_its_jitter(failed in 1u32..2000, random in 0.0..=1.0f64) {
        let policy = RetryPolicy::default();
        let backoff = if failed > 12 { policy.cap } else { policy.cap.min(Duration::from_secs(1 << (failed - 1))) };
        let wait = policy.wait(failed, random);
        prop_assert!(wait >= backoff && wait <= policy.cap.min(backoff + policy.jitter), "{wait:?} after {failed}");
    }

    #[test]
    fn what_the_peer_asks_for_is_a_lower_bound_and_parks_the_endpoint(seconds in 0u64..200_000, random in 0.0..=1.0f64) {
        let verdict = decide(&RetryPolicy::default(), &tried(1), &answer(429, &[("retry-after", &seconds.to_string())]), &Diagnosis::default(), now(), random);
        let Verdict::Retry(retry) = verdict else { panic!("429 is tried again") };
        let asked = now() + Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER);
        prop_assert!(retry.at >= asked && retry.at >= now() + RetryPolicy::default().base);
        prop_assert_eq!(asks_to_wait(&RetryPolicy::default(), &answer(429, &[("retry-after", &seconds.to_string())]), &Diagnosis::default(), now()), Some(asked));
        prop_assert_eq!(asks_to_wait(&RetryPolicy::default(), &answer(404, &[("retry-after", "60")]), &Diagnosis::default(), now()), None);
    }
}

/// 2023-11-14 22:13:20 UTC.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn streamed(ended: Ended) -> Outcome {
    let head = Head { status: 200, headers: Vec::new() };
    Outcome::Streamed(Box::new(Streamed { head, events: 3, ended, account: Account::default() }))
}

fn answer(status: u16, headers: &[(&str, &str)]) -> Outcome {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Bytes::from((*value).to_owned()))).collect();
    Outcome::Response(Response { head: Head { status, headers }, body: Bytes::new() })
}
