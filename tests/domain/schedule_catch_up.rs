//! Which of the slots that are due run, and what is said of the others.

use std::cell::Cell;
use std::time::Duration;

use pg_edge::domain::moment::Moment;
use pg_edge::domain::schedule::catch_up::{CatchUp, GRACE, Plan, Rules, Slots, Timeliness, Why, plan};
use pg_edge::domain::schedule::missed::Count;
use pg_edge::domain::schedule::overlap::Open;
use pg_edge::domain::schedule::zone::Utc;
use pg_edge::domain::schedule::{Bounds, Course, Dst, Schedule, Spread};
use proptest::prelude::*;

const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// Every so many seconds, each slot put off by up to a share of the way to the next.
struct Grid {
    step: i64,
    put_off_by: i64,
    /// Whether slots can be counted without going through them.
    counts: bool,
    asked: Cell<usize>,
}

impl Grid {
    fn of(step: i64) -> Self {
        Self { step, put_off_by: 0, counts: false, asked: Cell::new(0) }
    }
}

impl Slots for Grid {
    fn next_after(&self, after: Moment) -> Option<Moment> {
        self.asked.set(self.asked.get() + 1);
        Some(Moment::from_seconds((after.seconds().div_euclid(self.step) + 1) * self.step))
    }

    fn due_at(&self, slot: Moment) -> Moment {
        let by = if self.put_off_by == 0 { 0 } else { slot.seconds() * 7_919 % self.put_off_by.min(self.step * 1000) };
        slot.saturating_add(Duration::from_millis(by.unsigned_abs()))
    }

    fn count(&self, after: Moment, until: Moment) -> Option<u64> {
        self.counts
            .then(|| (until.seconds().div_euclid(self.step) - after.seconds().div_euclid(self.step)).unsigned_abs())
    }
}

fn rules(catch_up: CatchUp) -> Rules {
    Rules { catch_up, window: WEEK, most: 100, listed: 100 }
}

fn at(seconds: i64) -> Moment {
    Moment::from_seconds(seconds)
}

/// The slots that run, in seconds, and whether each had been missed.
fn runs(plan: &Plan) -> Vec<(i64, Timeliness)> {
    plan.runs.iter().map(|run| (run.slot.seconds(), run.timeliness)).collect()
}

#[test]
fn the_latest_missed_slot_runs_unless_one_is_due_that_stands_for_it() {
    let hourly = Grid::of(3600);
    let missed = |now| plan(&hourly, at(3600), at(now), rules(CatchUp::One));
    for (now, ran, skipped, next) in [
        // Nothing was missed.
        (7199, vec![], 0, 7200),
        (7200, vec![(7200, Timeliness::Due)], 0, 10_800),
        // Merely late.
        (7205, vec![(7200, Timeliness::Due)], 0, 10_800),
        (7206, vec![(7200, Timeliness::Missed)], 0, 10_800),
        (14_500, vec![(14_400, Timeliness::Missed)], 2, 18_000),
        (14_400, vec![(14_400, Timeliness::Due)], 2, 18_000),
    ] {
        let plan = missed(now);
        assert_eq!(runs(&plan), ran, "{now}");
        assert_eq!((plan.skipped.len(), plan.next), (skipped, Some(at(next))), "{now}");
    }
    assert!(missed(14_400).skipped.iter().all(|skipped| skipped.why == Why::StoodFor(at(14_400))));
}

#[test]
fn with_all_what_is_due_by_now_queues_behind_what_was_missed() {
    let secondly = Grid::of(1);
    let open = Open { running: 1, waiting: 0 };
    for (catch_up, passed, now, open, in_line) in [
        (CatchUp::All, 0, 20, Open::default(), true),
        (CatchUp::All, 0, 20, open, true),
        // Nothing was missed, but three are late.
        (CatchUp::All, 17, 20, Open::default(), true),
        (CatchUp::All, 17, 20, open, false),
        (CatchUp::One, 0, 20, Open::default(), false),
        (CatchUp::Skip, 0, 20, Open::default(), false),
    ] {
        let plan = plan(&secondly, at(passed), at(now), rules(catch_up));
        assert_eq!(plan.is_a_line(catch_up, open), in_line, "{catch_up:?} from {passed} with {open:?}");
    }
}

#[test]
fn what_stands_for_a_missed_slot_is_a_run_that_takes_place() {
    let missed = || plan(&Grid::of(1), at(0), at(20), rules(CatchUp::One));
    let reasons = |plan: Plan| plan.skipped.into_iter().map(|skipped| skipped.why).collect::<Vec<_>>();
    // The first that is due; those behind it meet it.
    assert_eq!(reasons(missed()), [Why::StoodFor(at(15)); 14]);
    for (ran, why) in [(Some(at(20)), Why::StoodFor(at(20))), (None, Why::StoodForByNone)] {
        let mut plan = missed();
        plan.stand_in(ran);
        assert_eq!(reasons(plan), [why; 14]);
    }
}

#[test]
fn each_policy_makes_up_for_what_it_says() {
    let minutely = Grid::of(60);
    let now = at(6_030);
    for (catch_up, window, most, ran, reasons) in [
        (CatchUp::Skip, 6_030, 100, 0, vec![(Why::NotWanted, 100)]),
        (CatchUp::One, 6_030, 100, 1, vec![(Why::StoodFor(at(6_000)), 99)]),
        (CatchUp::One, 20, 100, 0, vec![(Why::TooLongAgo(Duration::from_secs(20)), 100)]),
        (CatchUp::All, 6_030, 100, 100, vec![]),
        (CatchUp::All, 6_030, 3, 3, vec![(Why::TooMany(3), 97)]),
        (CatchUp::All, 600, 3, 3, vec![(Why::TooLongAgo(Duration::from_secs(600)), 90), (Why::TooMany(3), 7)]),
        (CatchUp::All, 600, 100, 10, vec![(Why::TooLongAgo(Duration::from_secs(600)), 90)]),
    ] {
        let rules = Rules { catch_up, window: Duration::from_secs(window), most, listed: 100 };
        let plan = plan(&minutely, at(0), now, rules);
        assert_eq!(plan.runs.len(), ran, "{rules:?}");
        assert!(plan.runs.iter().all(|run| run.timeliness == Timeliness::Missed));
        let mut found: Vec<(Why, usize)> = Vec::new();
        for skipped in &plan.skipped {
            match found.last_mut().filter(|(why, _)| *why == skipped.why) {
                Some((_, count)) => *count += 1,
                None => found.push((skipped.why, 1)),
            }
        }
        assert_eq!(found, reasons, "{rules:?}");
        assert_eq!((plan.passed, plan.next), (at(6_000), Some(at(6_060))));
    }
}

#[test]
fn years_of_every_second_take_a_bounded_number_of_steps_and_rows() {
    for counts in [true, false] {
        let grid = Grid { counts, ..Grid::of(1) };
        let now = at(3 * 365 * 86_400);
        let plan = plan(&grid, at(0), now, rules(CatchUp::Skip));
        assert!(grid.asked.get() < 500_000, "{} steps", grid.asked.get());
        assert_eq!(plan.skipped.len(), 101);
        let first = plan.skipped[0];
        assert_eq!((first.first, first.last), (at(1), at(now.seconds() - 106)));
        match first.count {
            Count::Exactly(count) => assert_eq!((count, counts), (now.seconds().unsigned_abs() - 106, true)),
            Count::AtLeast(count) => assert!(count >= 9_900 && !counts, "{count}"),
        }
        let listed: Vec<i64> = plan.skipped[1..].iter().map(|skipped| skipped.first.seconds()).collect();
        assert_eq!(listed, (now.seconds() - 105..=now.seconds() - 6).collect::<Vec<_>>());
    }
}

#[test]
fn a_job_of_every_second_of_some_months_takes_a_bounded_number_of_steps_too() {
    // From the first of November on nothing was due, and before that every second.
    let schedule = Schedule::parse("* * * * 1-10 *").unwrap();
    let course = Course::new(&schedule, &Utc, Dst::Vixie, Bounds::default(), None);
    let now = at(1_798_700_000); // The last days of 2026.
    let began = std::time::Instant::now();
    let plan = plan(&course, at(1_700_000_000), now, Rules { window: 1000 * WEEK, ..rules(CatchUp::All) });
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(plan.runs.len(), 100);
    let last = at(1_793_491_199); // The last second of October.
    assert_eq!(plan.passed, last);
    assert_eq!(runs(&plan).last(), Some(&(last.seconds(), Timeliness::Missed)));
}

#[test]
fn a_grid_is_counted_within_its_bounds() {
    let schedule = Schedule::parse("every 10 seconds").unwrap();
    for (starts, ends, after, until, count) in [
        (5, None, 0, 25, 3),
        (5, None, 5, 25, 2),
        (5, Some(20), 0, 100, 2),
        (5, Some(3), 0, 100, 0),
        (5, None, 26, 30, 0),
    ] {
        let bounds = Bounds { starts_at: Some(at(starts)), ends_at: ends.map(at) };
        let course = Course::new(&schedule, &Utc, Dst::Vixie, bounds, None);
        let counted = course.count(at(after), at(until)).unwrap_or(0);
        assert_eq!(counted, count, "{after} to {until} in {bounds:?}");
    }
}

#[test]
fn a_slot_that_is_put_off_is_neither_missed_nor_run_before_its_time() {
    let schedule = Schedule::parse("0 * * * *").unwrap();
    let spread = Some(Spread { most: Duration::from_secs(86_400), seed: 5 });
    let course = Course::new(&schedule, &Utc, Dst::Vixie, Bounds::default(), spread);
    let due = course.due_at(at(7200));
    assert!(due >= at(7200) && due < at(10_800), "{due}");
    let just_before = plan(&course, at(3600), due.saturating_sub(Duration::from_micros(1)), rules(CatchUp::One));
    assert_eq!((runs(&just_before), just_before.next), (vec![], Some(at(7200))));
    let then = plan(&course, at(3600), due, rules(CatchUp::One));
    assert_eq!((runs(&then), then.next), (vec![(7200, Timeliness::Due)], Some(at(10_800))));
}

proptest! {
    #[test]
    fn every_slot_is_run_or_said_to_be_skipped_exactly_once(
        step in 1_i64..4_000,
        put_off_by in prop_oneof![Just(0_i64), 1..5_000_000_i64],
        passed in 0_i64..1_000_000,
        waited in 0_u64..3_000_000_000,
        catch_up in prop_oneof![Just(CatchUp::One), Just(CatchUp::Skip), Just(CatchUp::All)],
        window in 0_u64..2_000_000,
        (most, listed) in (1_usize..200, 0_usize..200),
    ) {
        let grid = Grid { put_off_by, ..Grid::of(step) };
        // At most some ten thousand slots, so that they can be counted here one by one.
        let waited = Duration::from_millis(waited % (8_000_000 * step.unsigned_abs()));
        let (passed, now) = (at(passed), at(passed).saturating_add(waited));
        let rules = Rules { catch_up, window: Duration::from_secs(window), most, listed };
        let plan = plan(&grid, passed, now, rules);
        let mut all = Vec::new();
        let mut slot = grid.next_after(passed).unwrap();
        while grid.due_at(slot) <= now {
            all.push(slot);
            slot = grid.next_after(slot).unwrap();
        }
        prop_assert_eq!(plan.next, Some(slot));
        prop_assert_eq!(plan.passed, all.last().copied().unwrap_or(passed));
        let mut seen: Vec<Moment> = plan.runs.iter().map(|run| run.slot).collect();
        for skipped in &plan.skipped {
            let Count::Exactly(count) = skipped.count else { panic!("they can be counted") };
            let here: Vec<Moment> = all.iter().copied().filter(|slot| (skipped.first..=skipped.last).contains(slot)).collect();
            prop_assert_eq!(here.len() as u64, count);
            seen.extend(here);
        }
        seen.sort();
        // One that stands for several may lie around some that run: no more than the policy makes up for.
        prop_assert_eq!(seen, all);
        prop_assert!(plan.skipped.len() <= listed + 1);
        prop_assert!(plan.runs.iter().all(|run| (grid.due_at(run.slot) >= now.saturating_sub(GRACE)) == (run.timeliness == Timeliness::Due)));
        let made_up = plan.runs.iter().filter(|run| run.timeliness == Timeliness::Missed).count();
        let most = match catch_up { CatchUp::One => 1, CatchUp::Skip => 0, CatchUp::All => most };
        prop_assert!(made_up <= most);
        prop_assert!(plan.runs.is_sorted_by_key(|run| run.slot));
    }
}
