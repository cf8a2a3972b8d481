//! Schedules next to two independent calculators of cron times, cronsim and crondst, where these agree with each other.
//! `setup/oracles.sh` installs them; without them these tests fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cases;
mod oracles;
#[path = "../domain/zones.rs"]
#[allow(dead_code, reason = "the tests of the domain need more of it")]
mod zones;

use std::io::Write;

use pg_edge::domain::moment::Moment;
use pg_edge::domain::schedule::{Dst, Schedule, Timing};

use cases::{Case, RUNS};
use zones::Table;

/// Printed even though the test passes: a comparison that compares nothing passes too.
#[allow(clippy::explicit_write, reason = "what println! prints is kept back when a test passes")]
fn report(line: &str) {
    writeln!(std::io::stdout(), "{line}").unwrap();
}

fn ours(case: &Case) -> String {
    let schedule = Schedule::parse(&case.expression).unwrap_or_else(|error| panic!("{case:?}: {error}"));
    let zone = Table::named(case.zone);
    let timing = Timing { schedule: &schedule, zone, dst: Dst::Vixie, anchor: Moment::from_seconds(0) };
    let first = timing.next_after(Moment::from_seconds(case.start));
    let slots = std::iter::successors(first, |slot| timing.next_after(*slot)).take(RUNS);
    slots.map(|slot| slot.seconds().to_string()).collect::<Vec<_>>().join(",")
}

/// What those say who differ from us, and how many were compared.
fn compare(cases: &[Case], accept: impl Fn(&oracles::Answer) -> bool) -> (usize, Vec<String>) {
    let (mut compared, mut differences) = (0, Vec::new());
    for (case, answer) in cases.iter().zip(oracles::ask(cases)).filter(|(_, answer)| accept(answer)) {
        compared += 1;
        let ours = ours(case);
        if ours != answer.cronsim {
            differences.push(format!("{case:?}\n  ours    {ours}\n  theirs  {}", answer.cronsim));
        }
    }
    (compared, differences)
}

#[test]
fn slots_are_those_that_two_independent_oracles_agree_on() {
    let cases: Vec<Case> = cases::any(20_261_122).take(24_000).collect();
    let (compared, differences) = compare(&cases, |answer| answer.cronsim == answer.crondst);
    let shown: String = differences.iter().take(20).map(|difference| format!("{difference}\n")).collect();
    report(&format!(
        "schedules: {compared} of {} cases compared, on which both oracles agree: {} disagreements",
        cases.len(),
        differences.len()
    ));
    assert!(compared >= 20_000, "the oracles agree on {compared} cases only");
    assert!(differences.is_empty(), "{} disagreements, such as\n{shown}", differences.len());
}

#[test]
fn last_and_counted_days_and_seconds_are_those_of_the_one_oracle_that_knows_them() {
    let cases: Vec<Case> = cases::special(20_261_123).take(3000).collect();
    // It refuses some of what can never happen, and so do we.
    let (compared, differences) =
        compare(&cases, |answer| answer.cronsim.starts_with(|first: char| first.is_ascii_digit()));
    report(&format!(
        "schedules: {compared} cases with L, LW, # or seconds compared: {} disagreements",
        differences.len()
    ));
    assert!(compared >= 2500, "the oracle answers {compared} cases only");
    assert!(differences.is_empty(), "{} disagreements, such as\n{}", differences.len(), differences[0]);
}
