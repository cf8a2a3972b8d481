//! The clock of what follows real time: it never goes back, and agrees with the one on the wall as soon as it can.

use std::time::{Duration, Instant};

use pg_edge::domain::moment::Moment;
use pg_edge::domain::schedule::steady_clock::{MOST_AHEAD, Reading, SteadyClock, between};
use proptest::prelude::*;

fn at(seconds: i64) -> Moment {
    Moment::from_seconds(seconds)
}

#[test]
fn a_step_back_slows_the_clock_to_half_its_speed_until_the_wall_clock_has_caught_up() {
    let start = Instant::now();
    let mut clock = SteadyClock::showing(at(10_000), start);
    let mut read = |wall, after| clock.read(at(wall), start + Duration::from_secs(after));
    assert_eq!(read(10_010, 10), Reading::Steady(at(10_010)));
    // Ten minutes back.
    assert_eq!(read(9_420, 20), Reading::Steady(at(10_015)));
    assert_eq!(read(9_520, 120), Reading::Steady(at(10_065)));
    assert_eq!(read(10_520, 1_120), Reading::Steady(at(10_565)));
    // Twice the step later they agree again.
    assert_eq!(read(10_610, 1_210), Reading::Steady(at(10_610)));
    assert_eq!(read(10_620, 1_220), Reading::Steady(at(10_620)));
    // An hour forward.
    assert_eq!(read(14_230, 1_230), Reading::Steady(at(14_230)));
}

#[test]
fn a_step_back_by_more_than_a_day_is_taken_for_the_mending_of_a_broken_clock() {
    let start = Instant::now();
    for (back, reading) in [
        (MOST_AHEAD.as_secs().cast_signed(), Reading::Steady(at(1_000_000))),
        (MOST_AHEAD.as_secs().cast_signed() + 1, Reading::Reset(at(1_000_000 - 86_401))),
    ] {
        let mut clock = SteadyClock::showing(at(1_000_000), start);
        assert_eq!(clock.read(at(1_000_000 - back), start), reading);
    }
}

#[test]
fn a_wait_takes_the_slower_speed_into_account() {
    let start = Instant::now();
    let clock = SteadyClock::showing(at(1_000), start);
    for (moment, wall, wait) in [(1_010, 1_000, 10), (1_010, 400, 20), (1_500, 900, 600), (990, 400, 0)] {
        assert_eq!(
            clock.wait_until(at(moment), at(wall)),
            Duration::from_secs(wait),
            "{moment} while the wall shows {wall}"
        );
    }
}

/// What the wall clock does between two readings: go on, or be set; in milliseconds.
fn steps() -> impl Strategy<Value = Vec<(u64, i64)>> {
    let step = prop_oneof![4 => Just(0_i64), 1 => -40_000_000..0_i64, 1 => 0..100_000_000_i64];
    prop::collection::vec((0_u64..100_000, step), 1..60)
}

proptest! {
    #[test]
    fn it_never_goes_back_and_is_never_behind_the_wall_clock(steps in steps()) {
        let start = Instant::now();
        let mut clock = SteadyClock::showing(at(1_000_000), start);
        let (mut passed, mut wall, mut last) = (0, 1_000_000_000_i64, at(1_000_000));
        for (waited, step) in steps {
            passed += waited;
            wall += waited.cast_signed() + step;
            let shown = Moment::from_micros(wall * 1_000);
            let was_ahead = last > Moment::from_micros((wall - waited.cast_signed() - step) * 1_000);
            match clock.read(shown, start + Duration::from_millis(passed)) {
                Reading::Steady(steady) => {
                    prop_assert!(steady >= last && steady >= shown);
                    prop_assert!(steady == shown || was_ahead || step < 0, "ahead for no reason");
                    prop_assert!(between(shown, steady) <= MOST_AHEAD);
                    if steady > shown {
                        prop_assert_eq!(between(last, steady), Duration::from_millis(waited) / 2);
                    }
                    last = steady;
                }
                Reading::Reset(now) => {
                    prop_assert!(now == shown && between(shown, last) > MOST_AHEAD / 2);
                    last = now;
                }
            }
        }
    }

    #[test]
    fn it_agrees_with_the_wall_clock_after_twice_the_step(back in 0_u64..86_400_000, looks in 1_u32..50) {
        let start = Instant::now();
        let mut clock = SteadyClock::showing(at(1_000_000), start);
        let wall = at(1_000_000).saturating_sub(Duration::from_millis(back));
        let all = Duration::from_millis(2 * back);
        for look in 0..=looks {
            let passed = all * look / looks;
            clock.read(wall.saturating_add(passed), start + passed);
        }
        let later = all + Duration::from_millis(1);
        let wall = wall.saturating_add(later);
        prop_assert_eq!(clock.read(wall, start + later), Reading::Steady(wall));
    }
}
