//! Months, what is counted in them, and how many attempts they leave to an endpoint.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pg_edge::domain::backlog::{Backlog, LaneName};
use pg_edge::domain::breaker::BreakerRules;
use pg_edge::domain::lane_policy::{Capacity, LanePolicy};
use pg_edge::domain::month::Month;
use pg_edge::domain::quota::{Action, Mark, Quota};
use pg_edge::domain::tally::Kind;
use pg_edge::domain::usage::{Counts, Deltas, First, is_origin};
use proptest::prelude::*;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

const HOLD: fn(u64) -> Quota = |attempts| Quota { attempts, action: Action::Hold };

#[test]
fn a_month_is_that_of_utc_and_begins_with_its_first_day() {
    for (seconds, month, begins) in [
        (0, "1970-01-01", 0),
        (951_868_799, "2000-02-01", 949_363_200),
        (951_868_800, "2000-03-01", 951_868_800),
        (1_798_761_599, "2026-12-01", 1_796_083_200),
        (1_798_761_600, "2027-01-01", 1_798_761_600),
    ] {
        let of = Month::of(at(seconds));
        assert_eq!((of.to_string().as_str(), of.begins_at()), (month, at(begins)), "{seconds}");
    }
    assert_eq!(Month::of(at(1_798_761_600)).back(13).to_string(), "2025-12-01");
    // Neither before 1970 nor beyond the calendar does anything break.
    assert_eq!(Month::of(UNIX_EPOCH - Duration::from_secs(1)).to_string(), "1970-01-01");
    let far = Month::of(UNIX_EPOCH + Duration::from_secs(u64::MAX / 4));
    assert!(far.next().begins_at() >= far.begins_at());
}

proptest! {
    #[test]
    fn each_moment_lies_in_its_month(seconds in 0_u64..200_000_000_000) {
        let month = Month::of(at(seconds));
        prop_assert!(month.begins_at() <= at(seconds));
        prop_assert!(at(seconds) < month.next().begins_at());
        prop_assert_eq!(Month::of(month.begins_at()), month);
        prop_assert_eq!(month.next().back(1), month);
    }

    #[test]
    fn each_mark_is_passed_once_however_the_attempts_come_in(
        attempts in 0_u64..1_000, steps in proptest::collection::vec(1_u64..400, 1..50)
    ) {
        let quota = HOLD(attempts);
        let (mut used, mut marks) = (0, Vec::new());
        for step in steps {
            marks.extend(quota.passed(used, used + step));
            used += step;
        }
        prop_assert_eq!(marks.iter().filter(|mark| **mark == Mark::All).count(), usize::from(used >= attempts.max(1)));
        prop_assert!(marks.iter().filter(|mark| **mark == Mark::Most).count() <= 1);
        prop_assert!(marks.is_sorted());
    }

    #[test]
    fn a_lane_never_takes_more_than_its_allowance(
        quota in 0_u64..50, used in 0_u64..60, steps in proptest::collection::vec(0_u8..4, 1..200)
    ) {
        let now = at(1_000_000);
        let mut world = World::with(HOLD(quota), used, now);
        let mut sent: u64 = 0;
        for step in steps {
            match step {
                // One that was taken does not go out.
                0 if sent > 0 => {
                    world.backlog.recall(&world.lane, Kind::Fresh);
                    sent -= 1;
                }
                _ => {
                    world.queue(1);
                    sent += world.take(now);
                }
            }
            prop_assert!(sent <= quota.saturating_sub(used));
        }
    }
}

struct World {
    backlog: Backlog<()>,
    lane: LaneName,
}

impl World {
    fn with(quota: Quota, used: u64, now: SystemTime) -> Self {
        let capacity = Capacity { in_flight: 1024, per_lane: 1024, window: 4096 };
        let (mut backlog, lane) = (Backlog::new(capacity, BreakerRules::default()), LaneName::from("crm"));
        backlog.configure(&lane, Some(LanePolicy::default()), now);
        backlog.allow(&lane, quota.allowance(used, Month::of(now)));
        Self { backlog, lane }
    }

    fn queue(&mut self, calls: usize) {
        for _ in 0..calls {
            self.backlog.admit(&self.lane, Kind::Fresh, at(0), ());
        }
    }

    fn take(&mut self, now: SystemTime) -> u64 {
        self.backlog.take(now, usize::MAX).len() as u64
    }
}

#[test]
fn a_used_up_quota_holds_calls_until_the_month_turns_or_it_is_raised() {
    let now = at(1_798_761_600 - 10);
    let turn = at(1_798_761_600);
    let mut world = World::with(HOLD(5), 3, now);
    world.queue(9);
    assert_eq!(world.take(now), 2);
    assert!(!world.backlog.can_send(now));
    assert_eq!(world.backlog.next_opening(now), Some(turn));
    let news = world.backlog.take_news(now);
    assert_eq!(news[0].held_until, Some(turn));
    // In the new month it is first to be said what is left there.
    assert_eq!(world.take(turn), 0);
    world.backlog.allow(&world.lane, HOLD(5).allowance(0, Month::of(turn)));
    assert_eq!(world.take(turn), 5);
    world.backlog.allow(&world.lane, HOLD(6).allowance(5, Month::of(turn)));
    assert_eq!(world.take(turn), 1);
    world.backlog.allow(&world.lane, None);
    assert_eq!(world.take(turn), 1);
    assert_eq!(world.backlog.take_news(turn)[0].held_until, None);
}

#[test]
fn an_attempt_that_was_not_made_is_given_back() {
    let now = at(1_000_000);
    let mut world = World::with(HOLD(1), 0, now);
    world.queue(2);
    assert_eq!(world.take(now), 1);
    world.backlog.refund(&world.lane);
    assert_eq!(world.take(now), 1);
    assert_eq!(world.take(now), 0);
}

#[test]
fn what_is_given_back_makes_no_room_where_more_was_used_than_there_may_be() {
    let now = at(1_000_000);
    let mut world = World::with(HOLD(3), 5, now);
    world.queue(4);
    for _ in 0..2 {
        world.backlog.refund(&world.lane);
        assert_eq!(world.take(now), 0);
    }
    world.backlog.refund(&world.lane);
    assert_eq!(world.take(now), 1);
}

#[test]
fn a_quota_that_only_warns_keeps_nobody_back() {
    let now = at(1_000_000);
    let warn = Quota { attempts: 1, action: Action::Warn };
    assert_eq!(warn.allowance(7, Month::of(now)), None);
    assert_eq!((warn.passed(0, 1), warn.passed(1, 2)), (Some(Mark::All), None));
    assert_eq!(
        [HOLD(10).passed(7, 8), HOLD(10).passed(8, 9), HOLD(10).passed(7, 10)],
        [Some(Mark::Most), None, Some(Mark::All)]
    );
    assert_eq!(Action::parse("hold"), Some(Action::Hold));
    assert_eq!(Action::parse("Hold"), None);
}

#[test]
fn counts_are_summed_by_endpoint_and_month_and_taken_back() {
    let (november, crm, web) =
        (Month::of(at(1_795_000_000)), LaneName::from("crm"), LaneName::from("https://a.example"));
    let mut deltas = Deltas::default();
    let first = Counts::attempt(First::Yes, 10);
    deltas.add(&crm, november, first);
    deltas.add(&crm, november, Counts::attempt(First::No, 10));
    deltas.add(&crm, november, Counts::answer(7));
    deltas.add(&crm, november.next(), Counts::answer(1));
    deltas.add(&web, november, Counts::answer(0));
    assert_eq!(deltas.attempts(&crm, november), 2);
    let counted = Counts { calls: 1, attempts: 2, request_bytes: 20, response_bytes: 7 };
    assert_eq!(deltas.rows(), [("crm", november, counted), ("crm", november.next(), Counts::answer(1))]);
    deltas.add(&crm, november, first.back());
    assert_eq!(deltas.rows()[0].2, Counts { calls: 0, attempts: 1, request_bytes: 10, response_bytes: 7 });
    let mut doubled = deltas.clone();
    doubled.add_all(&deltas);
    assert_eq!(doubled.attempts(&crm, november), 2);
    let renamed = deltas.renamed(|_, _| LaneName::from("(other)"));
    assert_eq!(renamed.rows().len(), 2, "one a month");
    assert!(is_origin("https://a.example") && !is_origin("crm") && !is_origin("(other)"));
}
