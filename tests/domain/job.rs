//! What becomes of a job's delivery: answers, leases, reports, and when there is another.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use pg_edge::domain::job::{
    Again, Course, Delivery, Said, Setback, Terms, accepts, after_answer, at_rest, in_ascii, lease_at_acceptance,
    next_delivery,
};
use pg_edge::domain::outcome::{Failure, FailureClass, Head, Outcome, Response};
use pg_edge::domain::retry::History;
use pg_edge::domain::retry_policy::RetryPolicy;
use proptest::prelude::*;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Sent at 0, with a lease until 300.
fn sent() -> Delivery {
    Delivery { sent_at: at(0), accepted_at: None, heard_at: None, lease_until: at(300), said: None }
}

fn accepted() -> Delivery {
    Delivery { accepted_at: Some(at(1)), ..sent() }
}

const PLAIN: Terms = Terms { deadline: Duration::from_secs(300), heartbeat: None };
const LIVELY: Terms = Terms { heartbeat: Some(Duration::from_secs(30)), ..PLAIN };

fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Bytes::copy_from_slice(value.as_bytes())));
    Response { head: Head { status, headers: headers.collect() }, body: Bytes::copy_from_slice(body.as_bytes()) }
}

fn answer(status: u16) -> Outcome {
    Outcome::Response(response(status, &[], ""))
}

fn completed() -> Said {
    Said::Completed(Some("1".to_owned()))
}

#[test]
fn a_function_accepts_by_its_status_its_body_or_a_header() {
    let yes = [
        response(202, &[], ""),
        response(202, &[], r#"{"queued": false}"#),
        response(200, &[], r#"{"queued": true}"#),
        response(201, &[], " \n{\"id\": 7, \"queued\" : true, \"more\": {\"queued\": false}}"),
        response(204, &[("X-Edge-Accepted", "1")], ""),
        response(200, &[("x-edge-accepted", " 1 ")], "plain text"),
    ];
    for response in yes {
        assert!(accepts(&response), "{response:?}");
    }
    let no = [
        response(200, &[], ""),
        response(200, &[], "true"),
        response(200, &[], "[true]"),
        response(200, &[], r#"[{"queued": true}]"#),
        response(200, &[], r#"{"queued": "true"}"#),
        response(200, &[], r#"{"queued": 1}"#),
        response(200, &[], r#"{"queued": true"#),
        response(200, &[], r#"{"queued": false}"#),
        response(200, &[], r#"{"job": {"queued": true}}"#),
        response(200, &[("x-edge-accepted", "true")], ""),
        response(200, &[("x-edge-accepted", "0")], ""),
        response(302, &[("x-edge-accepted", "1")], r#"{"queued": true}"#),
        response(503, &[("x-edge-accepted", "1")], r#"{"queued": true}"#),
        response(102, &[("x-edge-accepted", "1")], ""),
    ];
    for response in no {
        assert!(!accepts(&response), "{response:?}");
    }
}

#[test]
fn an_accepted_delivery_has_until_its_deadline_or_the_next_sign_of_life() {
    let heard = |seconds| Delivery { heard_at: Some(at(seconds)), ..sent() };
    let table = [
        // Accepted at, under which terms, after which delivery: until.
        (10, PLAIN, sent(), 300),
        (10, LIVELY, sent(), 40),
        (290, LIVELY, sent(), 300),
        // What was said before the answer counts.
        (40, LIVELY, heard(35), 70),
        (20, LIVELY, heard(5), 50),
        (310, LIVELY, heard(295), 325),
        (310, PLAIN, heard(200), 500),
    ];
    for (now, terms, delivery, until) in table {
        assert_eq!(lease_at_acceptance(&terms, &delivery, at(now)), at(until), "{now} {terms:?} {delivery:?}");
    }
}

#[test]
fn an_answer_accepts_ends_or_comes_too_late() {
    let failure = Outcome::Failure(Failure::new(FailureClass::Timeout, "too slow"));
    assert_eq!(after_answer(&PLAIN, Some(&sent()), &answer(202), at(9)), Course::Accepted { until: at(300) });
    assert_eq!(after_answer(&LIVELY, Some(&sent()), &answer(202), at(9)), Course::Accepted { until: at(39) });
    assert_eq!(after_answer(&PLAIN, Some(&sent()), &answer(202), at(300)), Course::Lapsed, "the deadline is over");
    assert_eq!(after_answer(&PLAIN, None, &answer(202), at(9)), Course::Lapsed, "nobody could report on it");
    for outcome in [answer(200), answer(404), answer(503), failure] {
        assert_eq!(after_answer(&PLAIN, Some(&sent()), &outcome, at(9)), Course::AsAnyCall);
        assert_eq!(after_answer(&PLAIN, Some(&sent()), &outcome, at(900)), Course::AsAnyCall);
        assert_eq!(after_answer(&PLAIN, None, &outcome, at(9)), Course::AsAnyCall);
    }
}

#[test]
fn at_rest_a_delivery_goes_on_until_its_lease_is_over() {
    assert_eq!(at_rest(Some(&accepted()), at(299)), Course::Accepted { until: at(300) });
    assert_eq!(at_rest(Some(&accepted()), at(300)), Course::Lapsed);
    assert_eq!(at_rest(None, at(9)), Course::AsAnyCall, "its delivery is over, and it waits to be sent again");
}

#[test]
fn a_delivery_at_rest_that_is_neither_accepted_nor_over_was_interrupted() {
    for now in [1, 299, 900] {
        assert_eq!(at_rest(Some(&sent()), at(now)), Course::Interrupted);
        let heard = Delivery { heard_at: Some(at(1)), ..sent() };
        assert_eq!(at_rest(Some(&heard), at(now)), Course::Interrupted, "a sign of life is no acceptance");
    }
}

#[test]
fn what_was_said_wins_over_everything() {
    let failed = |again| Said::Failed { error: "no".to_owned(), again };
    for said in [completed(), Said::Completed(None), failed(Again::Welcome), failed(Again::InVain)] {
        for delivery in [sent(), accepted()] {
            let delivery = Delivery { said: Some(said.clone()), ..delivery };
            let outcomes = [
                answer(200),
                answer(202),
                answer(500),
                Outcome::Failure(Failure::new(FailureClass::Cancelled, "cancelled")),
            ];
            for (outcome, now) in outcomes.iter().flat_map(|outcome| [(outcome, 1), (outcome, 10_000)]) {
                assert_eq!(after_answer(&LIVELY, Some(&delivery), outcome, at(now)), Course::Said(said.clone()));
                assert_eq!(at_rest(Some(&delivery), at(now)), Course::Said(said.clone()));
            }
        }
    }
}

#[test]
fn a_failed_delivery_is_followed_by_another_while_attempts_and_time_are_left() {
    let policy = RetryPolicy { jitter: Duration::ZERO, ..RetryPolicy::default() };
    let tried = |charged| History { charged, max_attempts: None, born_at: at(0) };
    let next =
        |policy: &RetryPolicy, history: &History, setback, now| next_delivery(policy, history, setback, now, 0.5);
    assert_eq!(next(&policy, &tried(2), Setback::Failure, at(9)), Some(at(11)));
    assert_eq!(next(&policy, &tried(3), Setback::Silence, at(9)), None, "three are all");
    let more = History { max_attempts: Some(9), ..tried(8) };
    assert_eq!(next(&policy, &more, Setback::Failure, at(9)), Some(at(9 + 128)), "the job's own number counts");
    assert_eq!(next(&policy, &History { charged: 9, ..more }, Setback::Silence, at(9)), None);
    let brief = RetryPolicy { max_age: Some(secs(60)), ..policy };
    assert_eq!(next(&brief, &tried(1), Setback::Silence, at(60)), Some(at(60)));
    assert_eq!(next(&brief, &tried(1), Setback::Silence, at(61)), None);
    assert_eq!(next(&brief, &tried(1), Setback::Failure, at(60)), None, "it would be too old by then");
    assert_eq!(next(&brief, &tried(2), Setback::Silence, at(60)), None, "and so would one that waits");
}

#[test]
fn silence_is_followed_by_another_delivery_at_once_the_first_time_and_later_as_the_policy_says() {
    let policy = RetryPolicy { max_attempts: 9, jitter: secs(4), ..RetryPolicy::default() };
    let tried = |charged| History { charged, max_attempts: None, born_at: at(0) };
    let after = |charged, setback, random| {
        let next = next_delivery(&policy, &tried(charged), setback, at(9), random);
        next.map(|next| next.duration_since(at(9)).unwrap())
    };
    for random in [0.0, 0.5, 1.0] {
        assert_eq!(after(1, Setback::Silence, random), Some(secs(0)));
        // One that was interrupted does not count.
        assert_eq!(after(0, Setback::Silence, random), Some(secs(0)));
        for charged in 2..9 {
            let (silent, failed) = (after(charged, Setback::Silence, random), after(charged, Setback::Failure, random));
            assert_eq!(silent, failed, "delivery {charged}");
            assert_eq!(silent, Some(policy.wait(charged, random)));
        }
    }
    assert_ne!(after(2, Setback::Silence, 0.1), after(2, Setback::Silence, 0.9), "jobs that lapse together come apart");
}

#[test]
fn progress_is_sent_in_visible_ascii() {
    assert_eq!(in_ascii(r#"{"a": "b c\n"}"#), r#"{"a": "b c\n"}"#);
    assert_eq!(in_ascii("\"Grüße 😀\u{7f}\""), r#""Gr\u00fc\u00dfe \ud83d\ude00\u007f""#);
}

proptest! {
    #[test]
    fn progress_in_ascii_says_the_same(text in any::<String>()) {
        let json = serde_json::Value::String(text).to_string();
        let ascii = in_ascii(&json);
        prop_assert!(ascii.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{ascii}");
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&ascii).unwrap(), serde_json::from_str::<serde_json::Value>(&json).unwrap());
    }

    #[test]
    fn a_lease_is_never_made_shorter_by_accepting_what_was_heard_of(
        heard in 0_u64..2000, now in 0_u64..2000, heartbeat in prop::option::of(1_u64..600)
    ) {
        let terms = Terms { heartbeat: heartbeat.map(secs), ..PLAIN };
        let delivery = Delivery { heard_at: Some(at(heard)), ..sent() };
        prop_assert!(lease_at_acceptance(&terms, &delivery, at(now)) >= at(heard) + terms.grace());
    }
}
