//! Which endpoints refuse their key, and since when.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pg_edge::domain::backlog::LaneName;
use pg_edge::domain::outcome::{Failure, FailureClass, Outcome};
use pg_edge::domain::profile::Profile;
use pg_edge::domain::profile::diagnosis::Diagnosis;
use pg_edge::domain::refusals::{Key, Refusals};

use crate::profile_errors::answer;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn lane(name: &str) -> LaneName {
    LaneName::from(name)
}

#[test]
fn each_refusal_tells_since_when_and_the_first_answer_that_takes_the_key_ends_it() {
    let mut refusals = Refusals::default();
    let crm = lane("crm");
    assert!(!refusals.taken(&crm));
    for now in [7, 8, 900] {
        assert_eq!(refusals.refused(&crm, at(now)), at(7), "at {now}");
    }
    assert_eq!(refusals.refused(&lane("other"), at(9)), at(9));
    assert!(refusals.taken(&crm) && !refusals.taken(&crm));
    assert_eq!(refusals.refused(&crm, at(1000)), at(1000));
}

#[test]
fn what_a_predecessor_has_left_goes_on() {
    let mut refusals: Refusals = [(lane("crm"), at(3))].into_iter().collect();
    assert_eq!(refusals.refused(&lane("crm"), at(8)), at(3));
}

#[test]
fn origins_without_end_take_no_memory_without_end_and_those_that_are_shown_are_kept() {
    let mut refusals = Refusals::default();
    let shown = || [(lane("crm"), at(1)), (lane("never refused"), at(1))].into_iter().collect();
    refusals.refused(&lane("crm"), at(1));
    for n in 0..1000 {
        refusals.refused(&lane(&format!("https://{n}.example")), at(2));
        refusals.keep_shown(10, shown);
        assert!(refusals.count() <= 10);
    }
    assert_eq!(refusals.refused(&lane("crm"), at(5)), at(1));
    assert!(!refusals.taken(&lane("never refused")), "showing it does not make it refuse");
}

#[test]
fn as_long_as_they_are_few_nobody_looks_at_what_is_shown() {
    let mut refusals: Refusals = [(lane("crm"), at(3))].into_iter().collect();
    refusals.keep_shown(1, || panic!("it was looked at"));
    assert_eq!(refusals.count(), 1);
}

#[test]
fn an_answer_tells_of_the_key_and_what_is_none_does_not() {
    let mut refusals = Refusals::default();
    let crm = lane("crm");
    let refuses = answer(401, &[("sb-error-code", "UNAUTHORIZED_LEGACY_JWT")], "");
    let silent = Outcome::Failure(Failure::new(FailureClass::Connect, "nobody is there"));
    for (now, outcome, expected) in [
        (1, answer(200, &[], ""), None),
        (2, refuses.clone(), Some(Key::RefusedSince(at(2)))),
        (3, refuses, Some(Key::RefusedSince(at(2)))),
        (4, silent, None),
        (5, answer(503, &[], ""), Some(Key::Taken)),
        (6, answer(200, &[], ""), None),
    ] {
        let diagnosis = Diagnosis::of(Profile::SupabasePro, &outcome);
        assert_eq!(refusals.heard(&crm, &outcome, &diagnosis, at(now)), expected, "at {now}");
    }
}
