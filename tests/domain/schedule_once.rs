//! Single times, intervals, the server's start, rare days, and how runs are spread.

use std::time::Duration;

use pg_edge::domain::moment::Moment;
use pg_edge::domain::schedule::jitter::jitter;
use pg_edge::domain::schedule::zone::Utc;
use pg_edge::domain::schedule::{Dst, Schedule, Timing};
use proptest::prelude::*;

use crate::zones::{Table, second, shown};

const START: Moment = Moment::from_seconds(0);
const DAY: i64 = 86_400;

fn only(text: &str, zone: &str) -> String {
    let (schedule, zone) = (Schedule::parse(text).unwrap(), Table::named(zone));
    let slots: Vec<Moment> = [Dst::Vixie, Dst::Skip, Dst::Literal]
        .into_iter()
        .map(|dst| {
            let timing = Timing { schedule: &schedule, zone, dst, anchor: START };
            let slot = timing.next_after(START).unwrap();
            assert_eq!(timing.next_after(slot), None, "{text} is due once");
            assert_eq!(timing.next_after(Moment::from_micros(slot.micros() - 1)), Some(slot));
            slot
        })
        .collect();
    assert!(slots.iter().all(|slot| *slot == slots[0]), "the rule changes nothing for {text}");
    shown(zone, slots[0])
}

/// The days of a schedule in UTC that follow a day.
fn days(text: &str, after: &str, n: usize) -> Vec<String> {
    let schedule = Schedule::parse(text).unwrap();
    let timing = Timing { schedule: &schedule, zone: &Utc, dst: Dst::Vixie, anchor: START };
    let first = timing.next_after(Moment::from_seconds(second(&format!("{after}T00:00:00Z"))));
    let slots = std::iter::successors(first, |last| timing.next_after(*last));
    slots
        .take(n)
        .map(|slot| jiff::Timestamp::from_second(slot.seconds()).unwrap().to_string()[..10].to_owned())
        .collect()
}

#[test]
fn a_single_time_is_by_the_clock_of_the_zone_or_by_its_own_offset() {
    assert_eq!(only("at 2026-12-01 09:00", "Europe/Berlin"), "12-01T09:00:00+01");
    assert_eq!(only("at 2026-07-01T09:00:30", "Europe/Berlin"), "07-01T09:00:30+02");
    assert_eq!(only("at 2026-12-01 09:00Z", "Europe/Berlin"), "12-01T10:00:00+01");
    assert_eq!(only("at 2026-12-01 09:00:00.5-05:00", "America/New_York"), "12-01T09:00:00.5-05");
    assert_eq!(only("at 2026-12-01 09:00:00.000001", "Etc/UTC"), "12-01T09:00:00.000001+00");
}

#[test]
fn a_single_time_in_a_gap_is_right_after_it_and_one_that_comes_twice_is_the_first() {
    for (text, zone, vixie) in [
        ("at 2026-03-08 02:30:15.5", "America/New_York", "03-08T03:00:00-04"),
        ("at 2011-12-30 12:00", "Pacific/Apia", "12-31T00:00:00+14"),
    ] {
        let (schedule, zone) = (Schedule::parse(text).unwrap(), Table::named(zone));
        let next = |dst| Timing { schedule: &schedule, zone, dst, anchor: START }.next_after(START);
        assert_eq!(next(Dst::Vixie).map(|slot| shown(zone, slot)).as_deref(), Some(vixie));
        assert_eq!((next(Dst::Skip), next(Dst::Literal)), (None, None), "the clock never shows it");
    }
    assert_eq!(only("at 2026-11-01 01:30", "America/New_York"), "11-01T01:30:00-04");
    assert_eq!(only("at 2026-11-01 01:30-05", "America/New_York"), "11-01T01:30:00-05");
    assert_eq!(only("at 2026-04-05 01:45", "Australia/Lord_Howe"), "04-05T01:45:00+11");
}

#[test]
fn an_interval_is_a_grid_through_its_anchor_that_never_drifts() {
    let next = |text: &str, anchor: i64, after: i64| {
        let schedule = Schedule::parse(text).unwrap();
        let anchor = Moment::from_micros(anchor);
        let timing = Timing { schedule: &schedule, zone: &Utc, dst: Dst::Vixie, anchor };
        timing.next_after(Moment::from_micros(after)).map(Moment::micros)
    };
    const SECOND: i64 = 1_000_000;
    assert_eq!(next("every 10 seconds", 0, 0), Some(10 * SECOND));
    assert_eq!(next("every 10 seconds", 0, 10 * SECOND - 1), Some(10 * SECOND));
    assert_eq!(next("every 10 seconds", 0, 10 * SECOND), Some(20 * SECOND));
    assert_eq!(next("10 seconds", 3_500_000, 0), Some(3_500_000));
    assert_eq!(next("every 2 hours", 3_500_000, 3_500_000), Some(7200 * SECOND + 3_500_000));
    assert_eq!(next("every minute", 0, -1), Some(0));
    // The grid reaches to both sides of its anchor.
    assert_eq!(next("every minute", 0, -SECOND * 61), Some(-60 * SECOND));
    assert_eq!(next("every minute", i64::MIN, i64::MAX), None);
    assert!(next("every minute", i64::MAX, i64::MIN).is_some());
}

#[test]
fn the_start_of_the_server_is_never_due_by_the_clock() {
    let timing = Timing { schedule: &Schedule::Reboot, zone: &Utc, dst: Dst::Vixie, anchor: START };
    assert_eq!(timing.next_after(START), None);
}

#[test]
fn leap_days_are_found_over_a_century_without_one() {
    assert_eq!(days("0 0 29 2 *", "2092-01-01", 4), ["2092-02-29", "2096-02-29", "2104-02-29", "2108-02-29"]);
    assert_eq!(days("0 0 29 2 */7", "2072-01-01", 2), ["2088-02-29", "2128-02-29"]);
    assert_eq!(days("0 0 29 2 *", "2000-02-29", 1), ["2004-02-29"]);
    assert_eq!(days("0 0 31 * *", "2026-01-01", 4), ["2026-01-31", "2026-03-31", "2026-05-31", "2026-07-31"]);
}

#[test]
fn last_nearest_and_counted_days_are_those_of_the_calendar() {
    assert_eq!(days("0 0 L * *", "2026-01-15", 3), ["2026-01-31", "2026-02-28", "2026-03-31"]);
    assert_eq!(days("0 0 $ 2 *", "2027-01-01", 2), ["2027-02-28", "2028-02-29"]);
    // 31 January 2026 is a Saturday, 28 February too, 31 May a Sunday.
    assert_eq!(
        days("0 0 LW * *", "2026-01-01", 5),
        ["2026-01-30", "2026-02-27", "2026-03-31", "2026-04-30", "2026-05-29"]
    );
    // 1 August 2026 is a Saturday: never into July. 31 May is a Sunday: never into June.
    assert_eq!(days("0 0 1W 8 *", "2026-01-01", 1), ["2026-08-03"]);
    assert_eq!(days("0 0 31W 5 *", "2026-01-01", 1), ["2026-05-29"]);
    assert_eq!(days("0 0 15W 2,3,8,11 *", "2026-01-01", 4), ["2026-02-16", "2026-03-16", "2026-08-14", "2026-11-16"]);
    assert_eq!(days("0 0 * * 5#2", "2026-01-01", 3), ["2026-01-09", "2026-02-13", "2026-03-13"]);
    assert_eq!(days("0 0 * * 5#5", "2026-01-01", 3), ["2026-01-30", "2026-05-29", "2026-07-31"]);
    assert_eq!(days("0 0 * * sunL", "2026-01-01", 3), ["2026-01-25", "2026-02-22", "2026-03-29"]);
    assert_eq!(days("0 0 L,15W * *", "2026-02-01", 3), ["2026-02-16", "2026-02-28", "2026-03-16"]);
}

#[test]
fn a_star_in_a_day_field_asks_for_both_and_none_for_either() {
    assert_eq!(days("0 0 13 * 5", "2026-02-01", 4), ["2026-02-06", "2026-02-13", "2026-02-20", "2026-02-27"]);
    // Odd days that are Mondays.
    assert_eq!(days("0 0 */2 * 1", "2026-02-01", 3), ["2026-02-09", "2026-02-23", "2026-03-09"]);
    assert_eq!(days("0 0 1-31/2 * 1", "2026-02-01", 3), ["2026-02-02", "2026-02-03", "2026-02-05"]);
    // Thirteenths that are Sunday, Tuesday, Thursday or Saturday.
    assert_eq!(days("0 0 13 * */2", "2026-01-01", 3), ["2026-01-13", "2026-06-13", "2026-08-13"]);
    assert_eq!(days("0 0 L * 5#1", "2026-01-01", 3), ["2026-01-02", "2026-01-31", "2026-02-06"]);
}

#[test]
fn jitter_is_the_same_each_time_and_spreads_evenly() {
    let (most, gap) = (Duration::from_secs(60), Duration::from_secs(3600));
    let slot = |n: i64| Moment::from_seconds(n * DAY);
    assert_eq!(jitter(7, slot(3), most, gap), jitter(7, slot(3), most, gap));
    assert_ne!(jitter(7, slot(3), most, gap), jitter(8, slot(3), most, gap));
    assert_ne!(jitter(7, slot(3), most, gap), jitter(7, slot(4), most, gap));
    let mean = (0..1000).map(|n| jitter(n, slot(1), most, gap).as_secs_f64()).sum::<f64>() / 1000.0;
    assert!((27.0..33.0).contains(&mean), "{mean}");
    assert_eq!(jitter(7, slot(3), Duration::ZERO, gap), Duration::ZERO);
    assert_eq!(jitter(7, slot(3), most, Duration::ZERO), Duration::ZERO);
    // It is kept across versions: runs that were announced stay where they are.
    assert_eq!(jitter(42, Moment::from_seconds(1_800_000_000), most, gap), Duration::from_micros(12_736_559));
}

proptest! {
    #[test]
    fn jitter_stays_within_its_bounds(
        seed in any::<i64>(), slot in any::<i64>(), most in any::<u64>(), until_next in any::<u64>(),
    ) {
        let (most, until_next) = (Duration::from_micros(most), Duration::from_micros(until_next));
        let jitter = jitter(seed, Moment::from_micros(slot), most, until_next);
        prop_assert!(jitter <= most);
        prop_assert!(jitter < until_next || until_next.is_zero());
    }
}
