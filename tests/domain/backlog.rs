//! The backlog against a model: no call lost or doubled, no limit passed, no lane starved.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pg_edge::domain::backlog::{Admission, Backlog, LaneName, OnDisk, Rest};
use pg_edge::domain::breaker::{BreakerRules, Health};
use pg_edge::domain::lane_policy::{Capacity, Gate, LanePolicy};
use pg_edge::domain::rate::Rate;
use pg_edge::domain::tally::{CallEnd, Ended, Kind, Reach};
use proptest::prelude::*;

const WELL: Ended = Ended { kind: Kind::Fresh, reach: Reach::Answered, health: Health::Well, call: CallEnd::Succeeded };

const CAPACITY: Capacity = Capacity { in_flight: 8, per_lane: 4, window: 24 };

#[derive(Clone, Debug)]
enum Step {
    Admit(usize),
    Take(usize),
    TakeAndGiveBack,
    End(usize),
    Park(usize, u64),
    Configure(usize, Option<usize>, Option<u32>),
    Close(usize),
    Spill,
    Refill,
    Remove(u32),
    Pass(u64),
}

/// What the dispatcher does around the backlog, with the disk as a list.
struct World {
    backlog: Backlog<u32>,
    now: SystemTime,
    next: u32,
    waiting: BTreeMap<u32, usize>,
    disk: BTreeMap<usize, VecDeque<u32>>,
    on_wire: Vec<(usize, u32)>,
    parked: BTreeMap<usize, SystemTime>,
    most: BTreeMap<usize, usize>,
    closed: BTreeSet<usize>,
    done: Vec<u32>,
}

impl World {
    fn new() -> Self {
        Self {
            backlog: Backlog::new(CAPACITY, BreakerRules::default()),
            now: UNIX_EPOCH + Duration::from_secs(1_000_000),
            next: 0,
            waiting: BTreeMap::new(),
            disk: BTreeMap::new(),
            on_wire: Vec::new(),
            parked: BTreeMap::new(),
            most: BTreeMap::new(),
            closed: BTreeSet::new(),
            done: Vec::new(),
        }
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Admit(lane) if self.backlog.room() > 0 => {
                let call = self.next;
                self.next += 1;
                match self.backlog.admit(&name(*lane), kind(call), self.now, call) {
                    Admission::Waiting => drop(self.waiting.insert(call, *lane)),
                    Admission::Spilled(call) => self.disk.entry(*lane).or_default().push_back(call),
                }
            }
            Step::Admit(_) => {}
            Step::Take(limit) => {
                for (lane, call) in self.backlog.take(self.now, *limit) {
                    let lane = number(&lane);
                    assert_eq!(self.waiting.remove(&call), Some(lane), "call {call} was taken twice or from nowhere");
                    assert!(self.parked.get(&lane).is_none_or(|until| *until <= self.now), "a parked lane sends");
                    self.on_wire.push((lane, call));
                    let in_lane = self.on_wire.iter().filter(|(own, _)| *own == lane).count();
                    let most = self.most.get(&lane).copied().unwrap_or(CAPACITY.per_lane);
                    assert!(in_lane <= most && self.on_wire.len() <= CAPACITY.in_flight);
                    assert!(!self.closed.contains(&lane), "a disabled lane sends");
                }
            }
            Step::TakeAndGiveBack => {
                for (lane, call) in self.backlog.take(self.now, 3) {
                    self.backlog.give_back(&lane, kind(call), self.now, call);
                }
            }
            Step::End(which) if !self.on_wire.is_empty() => {
                let (lane, call) = self.on_wire.remove(which % self.on_wire.len());
                let (reach, health, end) = match call % 3 {
                    0 => (Reach::Silent, Health::Ill, CallEnd::Retried),
                    1 => (Reach::Answered, Health::Well, CallEnd::Succeeded),
                    _ => (Reach::Silent, Health::Unknown, CallEnd::Failed),
                };
                let ended = Ended { kind: kind(call), reach, health, call: end };
                self.backlog.ended(&name(lane), ended, self.now);
                self.done.push(call);
            }
            Step::End(_) => {}
            Step::Park(lane, seconds) => {
                let until = self.now + Duration::from_secs(*seconds);
                self.backlog.park(&name(*lane), until);
                let known = self.parked.entry(*lane).or_insert(until);
                *known = (*known).max(until);
            }
            Step::Configure(lane, most, rate) => {
                // A lower limit does not call back what is on the wire already.
                let running = self.on_wire.iter().filter(|(own, _)| own == lane).count();
                let most = most.filter(|most| *most >= running);
                let rate = rate.and_then(|rate| Rate::new(f64::from(rate)));
                let policy = LanePolicy { max_concurrency: most, rate, gate: Gate::Open };
                self.backlog.configure(&name(*lane), Some(policy), self.now);
                // Whoever enables an endpoint has mended it.
                if self.closed.remove(lane) {
                    self.parked.remove(lane);
                }
                self.most.insert(*lane, most.unwrap_or(CAPACITY.per_lane));
            }
            Step::Close(lane) => {
                let policy = LanePolicy { gate: Gate::Closed, ..LanePolicy::default() };
                self.backlog.configure(&name(*lane), Some(policy), self.now);
                self.closed.insert(*lane);
                self.most.remove(lane);
            }
            Step::Spill => {
                for (lane, call) in self.backlog.spill(self.now) {
                    assert_eq!(self.waiting.remove(&call), Some(number(&lane)));
                    self.disk.entry(number(&lane)).or_default().push_back(call);
                }
            }
            Step::Refill => {
                for (lane, appetite) in self.backlog.hungry(self.now) {
                    let disk = self.disk.entry(number(&lane)).or_default();
                    let mut wanted =
                        [appetite.fresh, appetite.retries].map(|wanted| wanted.min(self.backlog.room() / 2));
                    let (mut calls, mut left) = (Vec::new(), VecDeque::new());
                    for call in disk.drain(..) {
                        let wanted = &mut wanted[usize::from(kind(call) == Kind::Retry)];
                        if *wanted > 0 {
                            *wanted -= 1;
                            calls.push(call);
                        } else {
                            left.push_back(call);
                        }
                    }
                    *disk = left;
                    let left = |wanted| disk.iter().any(|call| kind(*call) == wanted);
                    let rest = |wanted| if left(wanted) { Rest::Some } else { Rest::None };
                    let rest = OnDisk { fresh: rest(Kind::Fresh), retries: rest(Kind::Retry) };
                    self.waiting.extend(calls.iter().map(|call| (*call, number(&lane))));
                    let calls = calls.into_iter().map(|call| (kind(call), call)).collect();
                    self.backlog.refill(&lane, self.now, calls, rest);
                }
            }
            Step::Remove(modulus) => {
                for call in self.backlog.remove(|call| call % modulus == 0) {
                    assert!(self.waiting.remove(&call).is_some());
                    self.done.push(call);
                }
            }
            Step::Pass(seconds) => self.now += Duration::from_secs(*seconds),
        }
        assert_eq!(self.backlog.waiting(), self.waiting.len(), "after {step:?}");
        assert_eq!(self.backlog.in_flight(), self.on_wire.len(), "after {step:?}");
        assert!(self.backlog.waiting() <= CAPACITY.window);
    }
}

fn name(lane: usize) -> LaneName {
    LaneName::from(format!("http://{lane}").as_str())
}

/// Every fifth call has been tried before.
fn kind(call: u32) -> Kind {
    if call.is_multiple_of(5) { Kind::Retry } else { Kind::Fresh }
}

fn number(lane: &LaneName) -> usize {
    lane.trim_start_matches("http://").parse().unwrap()
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..4usize).prop_map(Step::Admit),
        4 => (1..6usize).prop_map(Step::Take),
        1 => Just(Step::TakeAndGiveBack),
        4 => (0..8usize).prop_map(Step::End),
        1 => ((0..4usize), 0..20u64).prop_map(|(lane, seconds)| Step::Park(lane, seconds)),
        1 => ((0..4usize), prop::option::of(1..4usize), prop::option::of(1..5u32))
            .prop_map(|(lane, most, rate)| Step::Configure(lane, most, rate)),
        1 => (0..4usize).prop_map(Step::Close),
        2 => Just(Step::Spill),
        2 => Just(Step::Refill),
        1 => (2..9u32).prop_map(Step::Remove),
        2 => (0..4u64).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_call_is_done_once_whatever_happens_in_whatever_order(steps in prop::collection::vec(step(), 0..120)) {
        let mut world = World::new();
        for step in &steps {
            world.apply(step);
        }
        // With time, and nobody who keeps a lane closed, everything gets through.
        for lane in 0..4 {
            world.apply(&Step::Configure(lane, None, None));
        }
        for _ in 0..400 {
            for step in [Step::Pass(60), Step::Refill, Step::Take(8), Step::End(0), Step::End(0), Step::End(0), Step::End(0), Step::End(0)] {
                world.apply(&step);
            }
        }
        world.done.sort_unstable();
        prop_assert_eq!(world.done, (0..world.next).collect::<Vec<_>>());
    }
}

#[test]
fn a_hanging_lane_leaves_room_for_every_other() {
    let mut world = World::new();
    for _ in 0..10 {
        world.apply(&Step::Admit(0));
    }
    world.apply(&Step::Take(usize::MAX));
    assert_eq!(world.on_wire.len(), CAPACITY.per_lane);
    for lane in 1..4 {
        world.apply(&Step::Admit(lane));
        world.apply(&Step::Take(usize::MAX));
        assert!(world.on_wire.iter().any(|(own, _)| *own == lane), "lane {lane} waits for a hanging one");
    }
}

#[test]
fn lanes_take_turns() {
    let mut world = World::new();
    for lane in [0, 0, 0, 0, 0, 1, 2] {
        world.apply(&Step::Admit(lane));
    }
    world.apply(&Step::Take(4));
    let lanes: Vec<usize> = world.on_wire.iter().map(|(lane, _)| *lane).collect();
    assert_eq!(lanes, [0, 1, 2, 0]);
}

#[test]
fn a_lane_that_spilled_keeps_its_order() {
    let mut world = World::new();
    for _ in 0..10 {
        world.apply(&Step::Admit(0));
    }
    world.apply(&Step::Pass(5));
    world.apply(&Step::Spill);
    world.apply(&Step::Admit(0));
    while world.done.len() < 11 {
        for step in [Step::Refill, Step::Take(1), Step::End(0), Step::Pass(60)] {
            world.apply(&step);
        }
    }
    let fresh: Vec<_> = world.done.iter().filter(|call| kind(**call) == Kind::Fresh).collect();
    assert!(fresh.is_sorted(), "{fresh:?}");
}

#[test]
fn any_number_of_dead_endpoints_leaves_room_for_one_that_answers() {
    let capacity = Capacity { in_flight: 256, per_lane: 64, window: 4096 };
    let mut backlog = Backlog::new(capacity, BreakerRules::default());
    let (now, healthy) = (SystemTime::UNIX_EPOCH, LaneName::from("http://healthy"));
    backlog.admit(&healthy, Kind::Fresh, now, 0);
    assert_eq!(backlog.take(now, 1).len(), 1);
    backlog.ended(&healthy, WELL, now);
    for call in 0..1000 {
        backlog.admit(&LaneName::from(format!("http://dead-{}", call % 300).as_str()), Kind::Fresh, now, call);
    }
    let dead = backlog.take(now, usize::MAX).len();
    assert!((128..256).contains(&dead), "{dead} places are taken by dead endpoints");
    for call in 0..10 {
        backlog.admit(&healthy, Kind::Fresh, now, call);
    }
    let served = backlog.take(now, usize::MAX);
    assert_eq!(served.iter().filter(|(lane, _)| *lane == healthy).count(), 10);
}
