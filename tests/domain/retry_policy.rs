//! What may be written in a retry policy, and what it means.

use std::time::Duration;

use pg_edge::domain::outcome::FailureClass;
use pg_edge::domain::profile::Profile;
use pg_edge::domain::retry_policy::{RetryPolicy, Written};

fn policy(json: &str) -> Result<RetryPolicy, String> {
    Written::parse(json).and_then(|written| written.policy()).map_err(|error| error.to_string())
}

#[test]
fn an_empty_policy_and_the_preset_default_are_the_default() {
    for json in ["{}", "\"default\"", "{\"preset\": \"default\"}", "{\"retry_on\": null, \"base\": null}"] {
        assert_eq!(policy(json), Ok(RetryPolicy::default()), "{json}");
    }
}

#[test]
fn the_preset_durable_makes_ten_attempts_over_three_days() {
    let durable = policy("\"durable\"").unwrap();
    assert_eq!(durable.max_attempts, 10);
    let waits: Duration = (1..10).map(|failed| durable.wait(failed, 0.5)).sum();
    let days = waits.as_secs_f64() / 86_400.0;
    assert!((3.0..3.2).contains(&days), "{days} days");
    assert_eq!(policy("{\"preset\": \"durable\", \"max_attempts\": 4}").unwrap().max_attempts, 4);
}

#[test]
fn a_policy_says_what_is_wrong_with_it() {
    for (json, complaint) in [
        ("\"forever\"", "there is no retry preset \"forever\""),
        ("[]", "a retry policy must be a JSON object"),
        ("{\"base\": \"5 s\"}", "base of a retry policy must be a number of seconds, not \"5 s\""),
        ("{\"retry_on\": [1]}", "retry_on of a retry policy must be an array of strings, not [1]"),
        ("{\"attempts\": 3}", "a retry policy has no \"attempts\""),
        ("{\"max_attempts\": 0}", "max_attempts of a retry policy must be between 1 and 1000, not 0"),
        ("{\"base\": -1}", "base of a retry policy must be zero or longer"),
        ("{\"cap\": 1e300}", "cap of a retry policy must be"),
        ("{\"factor\": 0.5}", "factor of a retry policy must be between 1 and 1000, not 0.5"),
        ("{\"retry_on\": [\"5x\"]}", "retry_on item \"5x\" is not a status"),
        ("{\"retry_on\": [\"2xx\"]}", "retry_on item \"2xx\""),
        ("{\"retry_on\": [\"204\"]}", "retry_on item \"204\""),
        ("{\"retry_on\": [\"cancelled\"]}", "retry_on item \"cancelled\""),
        ("{\"retry_on\": [\"99\"]}", "retry_on item \"99\""),
    ] {
        let error = policy(json).expect_err(json);
        assert!(error.contains(complaint), "{json}: {error}");
    }
}

#[test]
fn retry_on_replaces_the_list() {
    let retry_on = policy("{\"retry_on\": [\"5XX\", \"429\", \"timeout\", \"connect\"]}").unwrap().retry_on;
    for (status, held) in [(500, true), (501, true), (599, true), (429, true), (408, false), (404, false)] {
        assert_eq!(retry_on.hold_for_status(status), held, "{status}");
    }
    for (class, held) in [
        (FailureClass::Timeout, true),
        (FailureClass::FirstByteTimeout, true),
        (FailureClass::ConnectTimeout, true),
        (FailureClass::Connect, true),
        (FailureClass::Dns, false),
        (FailureClass::Tls, false),
    ] {
        assert_eq!(retry_on.hold_for_class(class), held, "{class:?}");
    }
    let none = policy("{\"retry_on\": []}").unwrap().retry_on;
    assert!(!none.hold_for_status(503) && !none.hold_for_class(FailureClass::Timeout));
}

#[test]
fn a_status_is_asked_for_only_where_it_is_written_out() {
    for (retry_on, named) in
        [("[\"546\"]", true), ("[\"5xx\"]", false), ("[]", false), ("[\"5xx\", \"546\"]", true), ("null", false)]
    {
        let policy = policy(&format!("{{\"retry_on\": {retry_on}}}")).unwrap();
        assert_eq!(policy.retry_on.names(546), named, "{retry_on}");
        assert!(!policy.retry_on.names(503), "{retry_on}");
    }
}

#[test]
fn a_policy_knows_what_its_endpoint_runs_on() {
    for profile in Profile::ALL {
        let policy = Written::default().policy_under(profile).unwrap();
        assert_eq!(policy, RetryPolicy { profile, ..RetryPolicy::default() });
    }
}

#[test]
fn a_written_policy_reads_back_as_it_was() {
    let written =
        Written { max_attempts: Some(7), base: Some(0.5), retry_on: Some(vec!["503".into()]), ..Written::default() };
    assert_eq!(Written::parse(&written.to_json()), Ok(written));
}
