//! What one endpoint's policy, breaker and retries do to its calls, and to nobody else's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pg_edge::domain::backlog::{Appetite, Backlog, LaneName, OnDisk, Rest};
use pg_edge::domain::breaker::{BreakerRules, Health};
use pg_edge::domain::lane_policy::{Capacity, Gate, LanePolicy};
use pg_edge::domain::rate::Rate;
use pg_edge::domain::tally::{CallEnd, Ended, Kind, Reach};

const CAPACITY: Capacity = Capacity { in_flight: 256, per_lane: 8, window: 4096 };

struct World {
    backlog: Backlog<Kind>,
    lane: LaneName,
    now: SystemTime,
}

impl World {
    fn with(policy: LanePolicy) -> Self {
        let (lane, now) = (LaneName::from("crm"), UNIX_EPOCH + Duration::from_secs(1_000_000));
        let mut backlog = Backlog::new(CAPACITY, BreakerRules::default());
        backlog.configure(&lane, Some(policy), now);
        Self { backlog, lane, now }
    }

    fn queue(&mut self, kind: Kind, calls: usize) {
        for _ in 0..calls {
            self.backlog.admit(&self.lane, kind, self.now, kind);
        }
    }

    fn take(&mut self) -> Vec<Kind> {
        self.backlog.take(self.now, usize::MAX).into_iter().map(|(_, kind)| kind).collect()
    }

    fn end(&mut self, kind: Kind, health: Health) {
        let (reach, call) = (Reach::Answered, CallEnd::Retried);
        self.backlog.ended(&self.lane, Ended { kind, reach, health, call }, self.now);
    }
}

#[test]
fn no_second_sees_more_calls_than_the_rate_allows() {
    for rate in [1.0, 3.0, 10.0, 250.0] {
        let mut world = World::with(LanePolicy { rate: Rate::new(rate), ..LanePolicy::default() });
        let mut sent = Vec::new();
        for _ in 0..3_000 {
            world.queue(Kind::Fresh, 4);
            for kind in world.take() {
                sent.push(world.now);
                world.end(kind, Health::Well);
            }
            world.now += Duration::from_millis(5);
        }
        let most = sent
            .iter()
            .map(|from| sent.iter().filter(|at| *at >= from && **at < *from + Duration::from_secs(1)).count());
        let most = most.max().unwrap_or(0) as f64;
        assert!(most <= rate * 1.05 + 1.0, "{most} calls in a second at a rate of {rate}");
        let expected = rate * 15.0;
        assert!(
            (expected * 0.9..=expected * 1.05 + 1.0).contains(&(sent.len() as f64)),
            "{} of {expected}",
            sent.len()
        );
    }
}

#[test]
fn a_rate_says_when_the_next_call_may_go_out() {
    let mut world = World::with(LanePolicy { rate: Rate::new(2.0), ..LanePolicy::default() });
    world.queue(Kind::Fresh, 3);
    assert_eq!(world.take().len(), 1);
    assert!(!world.backlog.can_send(world.now));
    let opening = world.backlog.next_opening(world.now).expect("a call waits");
    assert_eq!(opening.duration_since(world.now).unwrap(), Duration::from_millis(500));
    world.now = opening;
    assert_eq!(world.take().len(), 1);
}

#[test]
fn a_disabled_endpoint_sends_nothing_and_loses_nothing() {
    let mut world = World::with(LanePolicy { gate: Gate::Closed, ..LanePolicy::default() });
    world.queue(Kind::Fresh, 3);
    assert!(world.take().is_empty());
    assert_eq!((world.backlog.can_send(world.now), world.backlog.next_opening(world.now)), (false, None));
    let (lane, now) = (world.lane.clone(), world.now);
    world.backlog.configure(&lane, Some(LanePolicy::default()), now);
    assert_eq!(world.take().len(), 3);
}

#[test]
fn a_storm_of_retries_leaves_a_quarter_of_the_places_to_fresh_work() {
    let mut world = World::with(LanePolicy::default());
    world.queue(Kind::Retry, 100);
    assert_eq!(world.take().len(), 6, "three quarters of eight");
    world.queue(Kind::Fresh, 100);
    assert_eq!(world.take(), [Kind::Fresh, Kind::Fresh]);
}

#[test]
fn fresh_work_goes_before_retries_three_to_one_and_starves_none_of_them() {
    let mut world = World::with(LanePolicy { max_concurrency: Some(1), ..LanePolicy::default() });
    world.queue(Kind::Retry, 50);
    world.queue(Kind::Fresh, 50);
    let mut order = Vec::new();
    for _ in 0..40 {
        for kind in world.take() {
            order.push(kind);
            world.end(kind, Health::Well);
        }
    }
    assert_eq!(order.iter().filter(|kind| **kind == Kind::Retry).count(), 10);
}

#[test]
fn an_open_breaker_holds_calls_and_lets_one_probe_out_when_its_time_is_up() {
    let mut world = World::with(LanePolicy::default());
    world.queue(Kind::Fresh, 20);
    assert_eq!(world.take().len(), 8);
    for _ in 0..5 {
        world.end(Kind::Fresh, Health::Ill);
    }
    assert!(world.take().is_empty(), "five failures in a row open it");
    for _ in 0..3 {
        world.end(Kind::Fresh, Health::Ill);
    }
    let opening = world.backlog.next_opening(world.now).expect("calls wait");
    assert_eq!(opening.duration_since(world.now).unwrap(), Duration::from_secs(30));
    world.now = opening;
    assert_eq!(world.take().len(), 1, "the probe");
    assert!(world.take().is_empty(), "and no other");
    world.end(Kind::Fresh, Health::Well);
    assert!(world.take().len() > 1, "it has recovered");
}

#[test]
fn what_one_endpoint_does_is_counted_once() {
    let mut world = World::with(LanePolicy::default());
    world.queue(Kind::Fresh, 8);
    world.take();
    for _ in 0..8 {
        world.end(Kind::Fresh, Health::Ill);
    }
    let news = world.backlog.take_news(world.now);
    let tally = news[0].tally;
    assert_eq!((tally.attempts, tally.ill, tally.retried, tally.openings), (8, 8, 8, 1));
    assert!(world.backlog.take_news(world.now).is_empty(), "nothing has happened since");
}

#[test]
fn no_more_is_read_from_disk_than_can_go_out_within_a_second() {
    for (policy, useful) in [
        (LanePolicy { rate: Rate::new(2.5), ..LanePolicy::default() }, 3),
        (LanePolicy { max_concurrency: Some(3), ..LanePolicy::default() }, 3),
        (LanePolicy { rate: Rate::new(0.1), ..LanePolicy::default() }, 1),
        (LanePolicy::default(), 8),
    ] {
        let mut world = World::with(policy);
        world.queue(Kind::Fresh, 50);
        world.now += Duration::from_secs(2);
        assert_eq!(world.backlog.spill(world.now).len(), 50);
        let wanted = |fresh| [(world.lane.clone(), Appetite { fresh, retries: 0 })];
        assert_eq!(world.backlog.hungry(world.now), wanted(useful), "{policy:?}");
        let rest = OnDisk { fresh: Rest::Some, retries: Rest::None };
        world.backlog.refill(&world.lane, world.now, vec![(Kind::Fresh, Kind::Fresh); useful - 1], rest);
        assert_eq!(world.backlog.hungry(world.now), wanted(1), "{policy:?}");
        world.backlog.refill(&world.lane, world.now, vec![(Kind::Fresh, Kind::Fresh)], rest);
        assert!(world.backlog.hungry(world.now).is_empty(), "{policy:?}");
    }
}

#[test]
fn enabling_an_endpoint_forgets_what_kept_its_calls_back() {
    let mut world = World::with(LanePolicy::default());
    world.queue(Kind::Fresh, 20);
    world.take();
    for _ in 0..8 {
        world.end(Kind::Fresh, Health::Ill);
    }
    let (lane, now) = (world.lane.clone(), world.now);
    world.backlog.park(&lane, now + Duration::from_secs(3600));
    assert!(world.take().is_empty());
    world.backlog.configure(&lane, Some(LanePolicy { gate: Gate::Closed, ..LanePolicy::default() }), now);
    world.backlog.configure(&lane, Some(LanePolicy::default()), now);
    assert_eq!(world.take().len(), 8);
}
