//! The grammar next to croner's, a parser of cron expressions that others wrote, as far as both speak the same one.

use croner::Weekday;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::Offset;
use pg_edge::domain::moment::Moment;
use pg_edge::domain::schedule::zone::Utc;
use pg_edge::domain::schedule::{Dst, Schedule, ScheduleError, Timing};
use proptest::prelude::*;

/// An entry of a field: often right, sometimes just out of range, reversed, or without a sense.
fn entry(high: u32, names: &'static str) -> impl Strategy<Value = String> {
    let value = || prop_oneof![8 => (0..=high + 1).prop_map(|n| n.to_string()), 1 => names];
    let range = (value(), value()).prop_map(|(first, last)| format!("{first}-{last}"));
    let step = (prop_oneof![Just("*".to_owned()), range.clone(), value()], 0..high + 2);
    prop_oneof![4 => value(), 2 => range, 2 => step.prop_map(|(range, step)| format!("{range}/{step}")), 1 => "[0-9/*-]{1,4}"]
}

fn field(high: u32, names: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("*".to_owned()),
        4 => entry(high, names),
        1 => prop::collection::vec(entry(high, names), 2..4).prop_map(|entries| entries.join(","))
    ]
}

/// In a list with others croner takes `L` and `15W` for `LW`, so that they stand alone here.
fn day_of_month() -> impl Strategy<Value = String> {
    prop_oneof![6 => field(31, "1"), 1 => Just("L".to_owned()), 1 => Just("LW".to_owned()), 1 => (0..33u32).prop_map(|day| format!("{day}W"))]
}

/// To croner `sun` is 7 at the end of a range, and to Vixie 0 wherever it stands.
fn day_of_week() -> impl Strategy<Value = String> {
    let counted = ("[0-7]|sun|FRI", 0..7u32).prop_map(|(day, nth)| format!("{day}#{nth}"));
    prop_oneof![6 => field(7, "tue|Mon|SAT"), 1 => counted, 1 => (0..9u32).prop_map(|day| format!("{day}L"))]
}

fn theirs(text: &str, both: bool) -> Option<croner::Cron> {
    CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).dom_and_dow(both).build().parse(text).ok()
}

fn fits(cron: &croner::Cron, at: i64) -> bool {
    let clock = Offset::UTC.to_datetime(Timestamp::from_second(at).unwrap());
    let pattern = &cron.pattern;
    let weekday = Weekday::from_days_from_sunday(clock.weekday().to_sunday_zero_offset() as u32);
    let (year, month, day) = (i32::from(clock.year()), clock.month() as u32, clock.day() as u32);
    pattern.second_match(clock.second() as u32).unwrap()
        && pattern.minute_match(clock.minute() as u32).unwrap()
        && pattern.hour_match(clock.hour() as u32).unwrap()
        && pattern.month_match(month).unwrap()
        && pattern.day_match(year, month, day, weekday).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_both_take_means_the_same(
        seconds in prop::option::of(field(59, "0")), minute in field(59, "0"), hour in field(23, "0"), day in day_of_month(),
        month in field(12, "jan|Feb|DEC"), weekday in day_of_week(), at in prop::collection::vec(0..4_000_000_000i64, 8),
    ) {
        let seconds = seconds.map_or_else(String::new, |seconds| seconds + " ");
        let text = format!("{seconds}{minute} {hour} {day} {month} {weekday}");
        let both = day.starts_with('*') || weekday.starts_with('*');
        let (ours, theirs) = (Schedule::parse(&text), theirs(&text, both));
        match (ours, theirs) {
            (Ok(schedule), Some(theirs)) => {
                let timing = Timing { schedule: &schedule, zone: &Utc, dst: Dst::Vixie, anchor: Moment::from_seconds(0) };
                for at in at {
                    let next = timing.next_after(Moment::from_seconds(at)).unwrap().seconds();
                    prop_assert!(fits(&theirs, next), "{text} at {next}");
                    // And none before it, as far as a look at some moments tells.
                    for early in (1..200).map(|n| next - n * 60).take_while(|early| *early > at) {
                        prop_assert!(!fits(&theirs, early), "{text} at {early}");
                    }
                }
            }
            // They take no star in a list, which Vixie's cron does.
            (Ok(_), None) if text.contains(",*") || text.contains("*,") => {}
            // They take what never comes.
            (Err(ScheduleError::Never(_)), _) | (Err(_), None) => {}
            (ours, theirs) => prop_assert!(false, "{text}: {ours:?}, but {}", if theirs.is_some() { "they take it" } else { "they refuse it" }),
        }
    }
}
