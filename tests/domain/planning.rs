//! Which slot comes next, within bounds and spread, and from where it is sought after a schedule was said anew.

use std::time::Duration;

use pg_edge::domain::moment::Moment;
use pg_edge::domain::schedule::planning::{Begin, Times, begins};
use pg_edge::domain::schedule::zone::Utc;
use pg_edge::domain::schedule::{Bounds, Course, Dst, Kind, Schedule, Spread};

fn course(schedule: &Schedule, bounds: Bounds, spread: Option<Spread>) -> Course<'_> {
    Course::new(schedule, &Utc, Dst::Vixie, bounds, spread)
}

fn slot(text: &str, bounds: Bounds, after: i64) -> Option<i64> {
    let schedule = Schedule::parse(text).unwrap();
    course(&schedule, bounds, None).next(Moment::from_seconds(after)).map(|next| next.slot.seconds())
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
    let mut latest = Duration::ZERO;
    for seed in 0..500 {
        let spread = Some(Spread { most: Duration::from_secs(3600), seed });
        let course = course(&schedule, Bounds::default(), spread);
        let found = course.next(Moment::from_seconds(0)).unwrap();
        assert_eq!(found.slot, Moment::from_seconds(60));
        let by = Duration::from_micros((found.due.micros() - found.slot.micros()).unsigned_abs());
        assert!(found.due >= found.slot && by < Duration::from_secs(60), "{by:?}");
        assert_eq!(course.next(Moment::from_seconds(0)), Some(found), "asked again");
        latest = latest.max(by);
    }
    assert!(latest > Duration::from_secs(30), "they are spread: {latest:?}");
    let found = course(&schedule, Bounds::default(), None).next(Moment::from_seconds(0)).unwrap();
    assert_eq!(found.due, found.slot);
}

#[test]
fn only_what_changes_its_times_begins_anew() {
    let known = Times { schedule: "@daily", timezone: "UTC", dst: "vixie", starts_at: from(5), active: true };
    let cron = |known, said| begins(known, said, Kind::Cron);
    assert_eq!(cron(known, known), Begin::WhereItStood);
    let changed = [
        Times { schedule: "@hourly", ..known },
        Times { timezone: "Europe/Berlin", ..known },
        Times { dst: "literal", ..known },
        Times { starts_at: None, ..known },
    ];
    for said in changed {
        assert_eq!(cron(known, said), Begin::Now, "{said:?}");
    }
    let paused = Times { active: false, ..known };
    assert_eq!(cron(paused, known), Begin::Now, "a paused one is resumed from now on");
    assert_eq!(cron(known, paused), Begin::WhereItStood);
    assert_eq!(cron(paused, paused), Begin::WhereItStood);
}

#[test]
fn what_waits_for_the_server_keeps_its_plan_while_it_is_active() {
    let known = Times { schedule: "@reboot", timezone: "UTC", dst: "vixie", starts_at: None, active: true };
    let paused = Times { active: false, ..known };
    for (before, after, expected) in [
        (known, known, Begin::AsPlanned),
        (known, paused, Begin::WhereItStood),
        (paused, known, Begin::Now),
        (Times { schedule: "@daily", ..known }, known, Begin::Now),
    ] {
        assert_eq!(begins(before, after, Kind::Reboot), expected, "{before:?} {after:?}");
    }
}
