//! Which slot comes next, within bounds and spread, and from where it is sought after a schedule was said anew.

use std::time::Duration;

use pg_edge::domain::moment::Moment;
use pg_edge::domain::schedule::planning::{Begin, Bounds, Spread, Times, anchor, begins, next, next_slot};
use pg_edge::domain::schedule::zone::Utc;
use pg_edge::domain::schedule::{Dst, Schedule, Timing};

fn timing<'a>(schedule: &'a Schedule, bounds: Bounds) -> Timing<'a> {
    Timing { schedule, zone: &Utc, dst: Dst::Vixie, anchor: anchor(bounds) }
}

fn slot(text: &str, bounds: Bounds, after: i64) -> Option<i64> {
    let schedule = Schedule::parse(text).unwrap();
    next_slot(&timing(&schedule, bounds), bounds, Moment::from_seconds(after)).map(Moment::seconds)
}

fn from(seconds: i64) -> Option<Moment> {
    Some(Moment::from_seconds(seconds))
}

#[test]
fn both_bounds_belong_to_the_time_between_them() {
    let bounds = Bounds { starts_at: from(120), ends_at: from(180) };
    assert_eq!(slot("* * * * *", bounds, 0), Some(120));
    assert_eq!(slot("* * * * *", bounds, 120), Some(180));
    assert_eq!(slot("* * * * *", bounds, 180), None);
    assert_eq!(slot("* * * * *", Bounds { starts_at: from(121), ends_at: from(179) }, 0), None);
}

#[test]
fn an_interval_is_counted_from_its_beginning_or_from_1970() {
    assert_eq!(slot("every 10 seconds", Bounds::default(), 1001), Some(1010));
    let bounds = Bounds { starts_at: from(1003), ends_at: None };
    assert_eq!(slot("every 10 seconds", bounds, 0), Some(1003));
    assert_eq!(slot("every 10 seconds", bounds, 1003), Some(1013));
}

#[test]
fn a_slot_is_put_off_by_less_than_what_lies_before_the_next() {
    let schedule = Schedule::parse("* * * * *").unwrap();
    let timing = timing(&schedule, Bounds::default());
    let mut latest = Duration::ZERO;
    for seed in 0..500 {
        let spread = Some(Spread { most: Duration::from_secs(3600), seed });
        let found = next(&timing, Bounds::default(), spread, Moment::from_seconds(0)).unwrap();
        assert_eq!(found.slot, Moment::from_seconds(60));
        let by = Duration::from_micros((found.due.micros() - found.slot.micros()).unsigned_abs());
        assert!(found.due >= found.slot && by < Duration::from_secs(60), "{by:?}");
        assert_eq!(next(&timing, Bounds::default(), spread, Moment::from_seconds(0)), Some(found), "asked again");
        latest = latest.max(by);
    }
    assert!(latest > Duration::from_secs(30), "they are spread: {latest:?}");
    let found = next(&timing, Bounds::default(), None, Moment::from_seconds(0)).unwrap();
    assert_eq!(found.due, found.slot);
}

#[test]
fn only_what_changes_its_times_begins_anew() {
    let known = Times { schedule: "@daily", timezone: "UTC", dst: "vixie", starts_at: from(5), active: true };
    assert_eq!(begins(known, known), Begin::WhereItStood);
    let changed = [
        Times { schedule: "@hourly", ..known },
        Times { timezone: "Europe/Berlin", ..known },
        Times { dst: "literal", ..known },
        Times { starts_at: None, ..known },
    ];
    for said in changed {
        assert_eq!(begins(known, said), Begin::Now, "{said:?}");
    }
    let paused = Times { active: false, ..known };
    assert_eq!(begins(paused, known), Begin::Now, "a paused one is resumed from now on");
    assert_eq!(begins(known, paused), Begin::WhereItStood);
    assert_eq!(begins(paused, paused), Begin::WhereItStood);
}
