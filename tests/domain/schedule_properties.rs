//! What holds of every schedule in every zone.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use pg_edge::domain::moment::Moment;
use pg_edge::domain::schedule::zone::{Span, Zone};
use pg_edge::domain::schedule::{Dst, Schedule, Timing};
use proptest::prelude::*;

use crate::zones::{Table, names, second};

const MINUTE: i64 = 60;
const DAY: i64 = 86_400;
const RULES: [Dst; 3] = [Dst::Vixie, Dst::Skip, Dst::Literal];
/// Of each kind: fixed, wild, with a star in one of the two, in lists, around midnight, rare, with seconds.
const EXPRESSIONS: [&str; 9] = [
    "30 2 * * *",
    "0 0 * * *",
    "15,45 0-3,23 * * *",
    "*/20 * * * *",
    "30 */2 * * *",
    "*/15 2 * * sun",
    "0 1 L * *",
    "20 10 1,2 * * *",
    "0 12 29 2 *",
];

fn timing<'a>(schedule: &'a Schedule, zone: &'a Table, dst: Dst) -> Timing<'a> {
    Timing { schedule, zone, dst, anchor: Moment::from_seconds(0) }
}

/// The zones that differ from 2020 to 2040, one of each kind.
static DIFFERENT_ZONES: LazyLock<Vec<&'static Table>> = LazyLock::new(|| {
    let (from, to) = (second("2020-01-01T00:00:00Z"), second("2041-01-01T00:00:00Z"));
    let mut seen = BTreeSet::new();
    let of = |zone: &Table| {
        let changes: Vec<_> = zone.changes().filter(|at| (from..to).contains(at)).collect();
        (zone.span(from).offset, changes.into_iter().map(|at| (at, zone.span(at).offset)).collect::<Vec<_>>())
    };
    names().iter().map(|name| Table::named(name)).filter(|zone| seen.insert(of(zone))).collect()
});

/// Every moment between two at which a schedule is due, by following the clock of the wall minute by minute, as
/// somebody would who cannot calculate: with a list of the times that it has shown already.
fn by_hand(fits: &dyn Fn(i64) -> bool, zone: &Table, rule: Option<Dst>, from: i64, to: i64) -> Vec<i64> {
    // Two days earlier, so that what was shown before is known.
    let start = from - 2 * DAY;
    let mut shown = zone.clock(start) - MINUTE;
    let mut slots = Vec::new();
    for at in (start..=to).step_by(60) {
        let clock = zone.clock(at);
        let due = match rule {
            None | Some(Dst::Literal) => fits(clock),
            _ if clock <= shown => false,
            Some(Dst::Skip) => fits(clock),
            Some(Dst::Vixie) => (1..=(clock - shown) / MINUTE).any(|minutes| fits(shown + minutes * MINUTE)),
        };
        shown = shown.max(clock);
        if due && at > from {
            slots.push(at);
        }
    }
    slots
}

/// Whether the clock's minute fits `minutes hours * * *`.
fn fits_minute(clock: i64, minutes: u64, hours: u32) -> bool {
    let of_day = clock.rem_euclid(DAY) / MINUTE;
    minutes >> (of_day % 60) & 1 == 1 && hours >> (of_day / 60) & 1 == 1
}

fn list<T: std::fmt::Display>(values: impl Iterator<Item = T>) -> String {
    values.map(|value| value.to_string()).collect::<Vec<_>>().join(",")
}

#[test]
fn slots_rise_in_every_zone_whatever_the_expression() {
    let (first, last) = (second("2020-01-01T00:00:00Z"), second("2040-12-31T00:00:00Z"));
    let mut compared = 0;
    for zone in DIFFERENT_ZONES.iter().copied() {
        let around: Vec<i64> = zone.changes().filter(|at| (first..last).contains(at)).map(|at| at - DAY).collect();
        for (text, dst) in EXPRESSIONS.iter().flat_map(|text| RULES.map(|dst| (text, dst))) {
            let schedule = Schedule::parse(text).unwrap();
            if schedule.follows_real_time() && dst != Dst::Vixie {
                // The rule plays no part.
                continue;
            }
            let timing = timing(&schedule, zone, dst);
            for from in around.iter().copied().chain([first]) {
                let mut at = Moment::from_seconds(from);
                while at.seconds() < from + 2 * DAY {
                    let next = timing.next_after(at).unwrap();
                    assert!(next > at, "{text} after {at:?}");
                    // Nothing lies between, wherever it is asked from.
                    let between = Moment::from_micros(at.micros() + (next.micros() - at.micros()) / 2);
                    assert_eq!(timing.next_after(between), Some(next), "{text} after {between:?}");
                    assert_eq!(timing.next_after(Moment::from_micros(next.micros() - 1)), Some(next));
                    (at, compared) = (next, compared + 1);
                }
            }
        }
    }
    assert!(DIFFERENT_ZONES.len() > 60 && compared > 100_000, "{} zones, {compared} slots", DIFFERENT_ZONES.len());
}

#[test]
fn every_hour_of_every_zone_is_met() {
    // What follows real time comes as often as real time has hours, whatever the clock does, where it changes by hours.
    let (first, last) = (second("2020-01-01T00:00:00Z"), second("2022-01-01T00:00:00Z"));
    let schedule = Schedule::parse("0 */1 * * *").unwrap();
    for zone in DIFFERENT_ZONES.iter().copied() {
        if zone
            .changes()
            .chain([first])
            .any(|at| at >= first && zone.span(at).offset % 3600 != zone.span(first).offset % 3600)
        {
            continue;
        }
        let timing = timing(&schedule, zone, Dst::Vixie);
        let first = Some(Moment::from_seconds(first - 1));
        let slots = std::iter::successors(first, |at| timing.next_after(*at)).skip(1);
        let slots = slots.take_while(|at| at.seconds() < last).count();
        assert_eq!(slots, (365 + 366) * 24);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn slots_are_those_of_somebody_who_follows_the_clock(
        minutes in 1..(1u64 << 60), hours in 1..(1u32 << 24), few in any::<(u64, u32)>(), star in 0..4, rule in 0..3usize,
        zone in any::<prop::sample::Index>(), change in any::<prop::sample::Index>(), before in 0..(30 * 60i64),
    ) {
        let zone = DIFFERENT_ZONES[zone.index(DIFFERENT_ZONES.len())];
        let recent: Vec<i64> = zone.changes().filter(|at| (946_684_800..2_240_611_200).contains(at)).collect();
        let from = if recent.is_empty() { 1_780_000_020 } else { recent[change.index(recent.len())] } - before * MINUTE;
        // Mostly a few values in each field, now and then many.
        let sparse = |bits: u64, mask: u64| if bits & mask == 0 { bits } else { bits & mask };
        let (minutes, hours) = (sparse(minutes, few.0 & few.0.rotate_left(7) & few.0.rotate_left(13)), sparse(hours.into(), few.1.into()) as u32);
        let (minutes, hours) = (if star & 1 == 1 { (1 << 60) - 1 } else { minutes }, if star & 2 == 2 { (1 << 24) - 1 } else { hours });
        let field = |bits: u64, star: bool| if star { "*".to_owned() } else { list((0..60).filter(|n| bits >> n & 1 == 1)) };
        let text = format!("{} {} * * *", field(minutes, star & 1 == 1), field(hours.into(), star & 2 == 2));
        let schedule = Schedule::parse(&text).unwrap();
        let to = from + DAY + DAY / 2;
        let rule = RULES[rule];
        let expected = by_hand(&|clock| fits_minute(clock, minutes, hours), zone, (star == 0).then_some(rule), from, to);
        let timing = timing(&schedule, zone, rule);
        let first = timing.next_after(Moment::from_seconds(from));
        let slots: Vec<i64> = std::iter::successors(first, |at| timing.next_after(*at)).map(Moment::seconds).take_while(|at| *at <= to).collect();
        prop_assert_eq!(slots, expected, "{} {:?}", text, rule);
    }

    #[test]
    fn no_text_and_no_moment_is_too_much(
        text in prop_oneof![any::<String>(), "[0-9*/,#LW$@a-z -]{0,40}", "([*0-9,/-]{1,5} ){4,5}[*0-9#L]{1,4}", "every [0-9]{0,25} [a-z]{0,8}", "at [0-9TZ:. +-]{0,30}"],
        at in any::<i64>(), zone in any::<prop::sample::Index>(),
    ) {
        if let Ok(schedule) = Schedule::parse(&text) {
            prop_assert!(!schedule.describe().is_empty());
            let names = names();
            let zone = Table::named(&names[zone.index(names.len())]);
            for dst in RULES {
                for at in [at, at % 4_000_000_000_000_000, i64::MIN, i64::MAX, 0] {
                    let at = Moment::from_micros(at);
                    if let Some(next) = timing(&schedule, zone, dst).next_after(at) {
                        prop_assert!(next > at);
                    }
                }
            }
        }
    }
}

#[test]
fn a_time_that_is_always_in_a_gap_is_given_up() {
    // The second Sunday of March at 02:30 is what New York leaves out, every year.
    let schedule = Schedule::parse("30 2 * 3 sun#2").unwrap();
    let zone = Table::named("America/New_York");
    let from = Moment::from_seconds(second("2026-01-01T00:00:00Z"));
    assert_eq!(
        timing(&schedule, zone, Dst::Vixie).next_after(from).map(Moment::seconds),
        Some(second("2026-03-08T07:00:00Z"))
    );
    // Our table of zones ends in 2200, and with it the gap.
    assert_eq!(timing(&schedule, zone, Dst::Skip).next_after(from), None);
    assert_eq!(timing(&schedule, zone, Dst::Literal).next_after(from), None);
}

#[test]
fn a_broken_table_of_zones_ends_the_search_too() {
    /// Says that each of its spans is over before it began.
    struct Broken;
    impl Zone for Broken {
        fn span(&self, at: i64) -> Span {
            Span { offset: 3600, until: Some(at) }
        }
    }
    for text in EXPRESSIONS.into_iter().chain(["at 2026-12-01 09:00"]) {
        let schedule = Schedule::parse(text).unwrap();
        for dst in RULES {
            let timing = Timing { schedule: &schedule, zone: &Broken, dst, anchor: Moment::from_seconds(0) };
            assert!(timing.next_after(Moment::from_seconds(1_780_000_000)).is_some(), "{text}");
        }
    }
}
