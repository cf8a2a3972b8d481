//! Which endpoints refuse their key, and since when.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pg_edge::domain::backlog::LaneName;
use pg_edge::domain::refusals::Refusals;

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
