//! The errors of platforms: how each row of the table is found, and what follows from it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use pg_edge::domain::outcome::{Head, Outcome, Response};
use pg_edge::domain::profile::advice::Advice;
use pg_edge::domain::profile::diagnosis::Diagnosis;
use pg_edge::domain::profile::errors::{Code, Concerns, ERRORS, KnownError};
use pg_edge::domain::profile::{Platform, Profile};
use pg_edge::domain::retry::{History, LONGEST_RETRY_AFTER, Verdict, asks_to_wait, decide};
use pg_edge::domain::retry_policy::{RetryPolicy, Written};

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

/// An answer of a peer's.
pub fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Outcome {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Bytes::from((*value).to_owned()))).collect();
    Outcome::Response(Response { head: Head { status, headers }, body: Bytes::from(body.to_owned()) })
}

/// A profile whose calls meet a platform's errors.
pub fn profile_of(platform: Platform) -> Profile {
    match platform {
        Platform::Supabase => Profile::SupabasePro,
        Platform::Cloudflare => Profile::Cloudflare,
    }
}

/// A status under which it comes, and after which calls are tried again if there is one.
fn status_of(row: &KnownError) -> u16 {
    if row.statuses.contains(&503) { 503 } else { *row.statuses.start() }
}

/// The answers by which a platform says this, one for each way it has.
fn answers(row: &KnownError) -> Vec<Outcome> {
    let status = status_of(row);
    match (row.platform, row.code) {
        (_, Code::Any) => vec![answer(status, &[], "anything"), answer(status, &[], "")],
        (Platform::Supabase, Code::Named("x-relay-error")) => vec![answer(status, &[("x-relay-error", "true")], "")],
        (Platform::Supabase, Code::Named(code)) => vec![
            answer(status, &[("sb-error-code", code)], ""),
            answer(status, &[("Sb-Error-Code", code)], "{\"code\": \"SOMETHING_ELSE\", \"message\": \"\"}"),
            answer(status, &[], &format!("{{\"code\": \"{code}\", \"message\": \"no\"}}")),
        ],
        (Platform::Cloudflare, Code::Named(code)) => vec![
            answer(status, &[("cf-ray", "8f-FRA")], &format!("error code: {code}\n")),
            answer(status, &[("server", "cloudflare")], &format!("{{\"error_code\": {code}, \"retryable\": false}}")),
            answer(status, &[("server", "cloudflare")], &format!("<b class=\"cf-error-code\">{code}</b>")),
        ],
    }
}

fn tried(charged: u32) -> History {
    History { charged, max_attempts: None, born_at: now() }
}

/// How many attempts a call makes that meets this every time, and how long the first wait is.
pub fn course(policy: &RetryPolicy, outcome: &Outcome) -> (u32, Duration) {
    let diagnosis = Diagnosis::of(policy.profile, outcome);
    let mut first_wait = Duration::ZERO;
    for charged in 1.. {
        match decide(policy, &tried(charged), outcome, &diagnosis, now(), 0.0) {
            Verdict::Retry(retry) if charged == 1 => first_wait = retry.at.duration_since(now()).unwrap(),
            Verdict::Retry(_) => {}
            Verdict::Failed => return (charged, first_wait),
            other => panic!("{other:?}"),
        }
    }
    unreachable!("attempts are limited")
}

/// An endpoint's policy on a platform.
pub fn policy(json: &str, profile: Profile) -> RetryPolicy {
    Written::parse(json).unwrap().policy_under(profile).unwrap()
}

#[test]
fn every_row_of_the_table_is_found_by_all_the_ways_in_which_its_platform_says_it() {
    for row in &ERRORS {
        for outcome in answers(row) {
            let diagnosis = Diagnosis::of(profile_of(row.platform), &outcome);
            assert_eq!(
                diagnosis.known().map(std::ptr::from_ref),
                Some(std::ptr::from_ref(row)),
                "{row:?} by {outcome:?}"
            );
            let words = diagnosis.words().unwrap();
            assert!(words.ends_with(row.meaning), "{words}");
            if let Code::Named(code) = row.code {
                assert!(words.starts_with(&format!("{code}: ")), "{words}");
            }
        }
    }
}

#[test]
fn every_row_means_something_to_do_and_is_not_hidden_by_one_before_it() {
    for (index, row) in ERRORS.iter().enumerate() {
        assert!(row.meaning.len() > 20 && !row.meaning.ends_with('.'), "{row:?}");
        let twins = ERRORS[..index].iter().filter(|other| other.platform == row.platform && other.code == row.code);
        for other in twins {
            assert!(!row.statuses.clone().any(|status| other.statuses.contains(&status)), "{row:?} behind {other:?}");
        }
    }
}

#[test]
fn a_status_that_is_asked_for_by_itself_is_tried_as_often_as_the_policy_says() {
    let limit = answer(546, &[("sb-error-code", "WORKER_RESOURCE_LIMIT")], "");
    let boot = answer(503, &[("sb-error-code", "BOOT_ERROR")], "");
    for (retry_on, limits, boots) in [
        ("null", 1, 2),
        ("[\"5xx\"]", 1, 2),
        ("[\"546\"]", 4, 1),
        ("[\"5xx\", \"546\"]", 4, 2),
        ("[\"503\", \"5xx\"]", 1, 4),
    ] {
        let policy = policy(&format!("{{\"max_attempts\": 4, \"retry_on\": {retry_on}}}"), Profile::SupabaseFree);
        assert_eq!(course(&policy, &limit).0, limits, "546 under {retry_on}");
        assert_eq!(course(&policy, &boot).0, boots, "503 under {retry_on}");
    }
}

#[test]
fn a_wait_that_a_platform_needs_is_kept_even_where_the_status_is_asked_for() {
    let outcome = answer(503, &[("sb-error-code", "LOAD_FUNCTION_ERROR")], "");
    let policy = policy("{\"retry_on\": [\"503\"], \"base\": 0, \"jitter\": 0}", Profile::SupabasePro);
    assert_eq!(course(&policy, &outcome), (3, Duration::from_secs(10)));
}

#[test]
fn a_call_with_fewer_attempts_is_not_given_more() {
    let outcome = answer(503, &[("sb-error-code", "BOOT_ERROR")], "");
    let policy = policy("{\"max_attempts\": 1}", Profile::SupabasePro);
    assert_eq!(course(&policy, &outcome).0, 1);
}

#[test]
fn another_platform_s_errors_are_explained_by_their_header_and_not_followed() {
    let outcome = answer(546, &[("sb-error-code", "WORKER_LIMIT")], "");
    for profile in [Profile::Generic, Profile::Deno, Profile::Cloudflare] {
        let diagnosis = Diagnosis::of(profile, &outcome);
        assert_eq!(diagnosis.advice(), Advice::AsThePolicySays, "{profile:?}");
        assert!(diagnosis.words().unwrap().starts_with("WORKER_LIMIT: the function used up its memory"), "{profile:?}");
    }
    let in_body = answer(503, &[], "{\"code\": \"BOOT_ERROR\", \"message\": \"\"}");
    let by_cloudflare = answer(503, &[("cf-ray", "1")], "error code: 1102");
    for outcome in [in_body, by_cloudflare, answer(546, &[], ""), answer(502, &[("x-relay-error", "true")], "")] {
        assert_eq!(Diagnosis::of(Profile::Generic, &outcome), Diagnosis::default(), "{outcome:?}");
    }
}

#[test]
fn nothing_of_an_answer_gets_into_an_error_that_does_not_look_like_a_code() {
    let long = "A".repeat(65);
    for (code, shown) in [
        ("SOMETHING_NEW_42", Some("SOMETHING_NEW_42")),
        ("secret", None),
        ("A B", None),
        ("Bearer eyJ", None),
        ("", None),
        (long.as_str(), None),
    ] {
        for outcome in [
            answer(500, &[("sb-error-code", code)], ""),
            answer(500, &[], &format!("{{\"code\": \"{code}\", \"message\": \"x\"}}")),
        ] {
            let words = Diagnosis::of(Profile::SupabasePro, &outcome).words();
            assert_eq!(words.as_deref(), shown, "{outcome:?}");
        }
    }
}

#[test]
fn bodies_that_only_look_like_a_platform_s_say_nothing() {
    let huge = format!("{{\"code\": \"BOOT_ERROR\", \"message\": \"{}\"}}", "x".repeat(70_000));
    for (headers, body) in [
        (&[][..], "{\"code\": \"BOOT_ERROR\"}"),
        (&[], "{\"code\": 7, \"message\": \"x\"}"),
        (&[], "[\"BOOT_ERROR\"]"),
        (&[], "\u{0}\u{1}"),
        (&[], huge.as_str()),
        // A number that nobody vouches for, and none that is one.
        (&[], "error code: 1102"),
        (&[("cf-ray", "1")], "error code: 99999999999999999999"),
        (&[("cf-ray", "1")], "error code: 42"),
        (&[("cf-ray", "1")], "error code:"),
    ] {
        assert_eq!(
            Diagnosis::of(Profile::SupabasePro, &answer(503, headers, body)),
            Diagnosis::default(),
            "{body:.60}"
        );
    }
}

#[test]
fn an_answer_that_is_a_success_is_not_looked_into() {
    for status in [200, 202, 207, 299] {
        let outcome =
            answer(status, &[("sb-error-code", "BOOT_ERROR")], "{\"code\": \"BOOT_ERROR\", \"message\": \"\"}");
        assert_eq!(Diagnosis::of(Profile::SupabasePro, &outcome), Diagnosis::default(), "{status}");
    }
}

#[test]
fn a_rate_limit_is_waited_for_as_its_header_or_its_body_says() {
    let policy = policy("{}", Profile::SupabaseFree);
    let code = ("sb-error-code", "RATE_LIMIT_EXCEEDED");
    let day = LONGEST_RETRY_AFTER;
    for (headers, body, wait) in [
        (&[code, ("retry-after", "7")][..], "{\"retryAfterMs\": 90000}", Some(Duration::from_secs(7))),
        (&[code], "{\"retryAfterMs\": 90000}", Some(Duration::from_secs(90))),
        (&[], "{\"retryAfterMs\": 1500}", Some(Duration::from_millis(1500))),
        (&[], "{\"retryAfterMs\": 18446744073709551615}", Some(day)),
        (&[], "{\"retryAfterMs\": -1}", None),
        (&[code], "", None),
    ] {
        let outcome = answer(429, headers, body);
        let diagnosis = Diagnosis::of(policy.profile, &outcome);
        assert_eq!(asks_to_wait(&policy, &outcome, &diagnosis, now()), wait.map(|wait| now() + wait), "{outcome:?}");
    }
    // A function's own answer under another status is its own business.
    let outcome = answer(503, &[], "{\"retryAfterMs\": 1500}");
    assert_eq!(asks_to_wait(&policy, &outcome, &Diagnosis::of(policy.profile, &outcome), now()), None);
}

#[test]
fn a_key_that_is_refused_concerns_every_call() {
    let of_keys = ERRORS.iter().filter(|row| row.concerns == Concerns::Key);
    let codes: Vec<_> = of_keys.map(|row| (row.statuses.clone(), row.advice)).collect();
    assert_eq!(codes, vec![(401..=401, Advice::Final); 5]);
    let diagnosis =
        Diagnosis::of(Profile::SupabasePro, &answer(401, &[("sb-error-code", "UNAUTHORIZED_LEGACY_JWT")], ""));
    assert!(diagnosis.refuses_key());
    // A function that says 401 itself means one call.
    assert!(!Diagnosis::of(Profile::SupabasePro, &answer(401, &[], "no")).refuses_key());
}
