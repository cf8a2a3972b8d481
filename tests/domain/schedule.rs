//! Schedules, as they are written.

use pg_edge::domain::moment::Moment;
use pg_edge::domain::schedule::zone::Utc;
use pg_edge::domain::schedule::{Dst, Schedule, Timing};

#[test]
fn a_schedule_is_due_on_time() {
    let schedule = Schedule::parse("0 9 * * mon-fri").unwrap();
    let timing = Timing { schedule: &schedule, zone: &Utc, dst: Dst::Vixie, anchor: Moment::from_seconds(0) };
    // 1970-01-01 was a Thursday.
    let mut at = Moment::from_seconds(0);
    let mut days = Vec::new();
    for _ in 0..4 {
        at = timing.next_after(at).unwrap();
        days.push((at.seconds() - 9 * 3600) / 86_400);
    }
    assert_eq!(days, [0, 1, 4, 5]);
}
