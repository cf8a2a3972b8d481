//! The course of a websocket in a model of the engine: connections are opened, stand, and end in any order.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pg_edge::domain::socket::course::{Chance, Course, Meaning, Order, State};
use pg_edge::domain::socket::outgoing::{Load, Rest};
use pg_edge::domain::socket::plan::{Farewell, SocketId};
use pg_edge::domain::socket::verdict::Verdict;
use proptest::prelude::*;

const AT_ONCE: Verdict = Verdict::Reconnect { least: Duration::ZERO };
const NOTHING: Load = Load { waiting: Rest::None, untaken: Rest::None };
const MAX_AGE: Duration = Duration::from_secs(60);

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Wanted,
    Changed,
    Unwanted,
    /// The so-manieth of the connections that are being opened stands.
    Stands(usize),
    /// The so-manieth of all connections ends.
    Ends(usize, Verdict),
    /// The next one that is to be opened cannot be.
    CannotOpen(Verdict),
    MustWait,
    Later(u64),
    Load(bool, bool),
    TryNow,
}

/// A connection of the engine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Opening,
    Open,
    ToldToClose,
}

struct Model {
    course: Course,
    lines: BTreeMap<SocketId, Line>,
    now: Instant,
    next: u64,
    load: Load,
    cannot_open: Option<Verdict>,
    must_wait: bool,
    is_wanted: bool,
}

fn farewell() -> Farewell {
    Farewell { code: 3001, reason: "enough".into() }
}

fn chance() -> Chance {
    Chance { random: 0.5, max_backoff: Duration::from_secs(30) }
}

impl Model {
    fn new() -> Self {
        Self {
            course: Course::new(Some(MAX_AGE)),
            lines: BTreeMap::new(),
            now: Instant::now(),
            next: 1,
            load: NOTHING,
            cannot_open: None,
            must_wait: false,
            is_wanted: true,
        }
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Wanted => {
                self.is_wanted = true;
                self.course.wanted(Some(MAX_AGE));
            }
            Step::Changed => {
                self.is_wanted = true;
                let orders = self.course.changed(Some(MAX_AGE));
                self.obey(orders);
            }
            Step::Unwanted => {
                self.is_wanted = false;
                let orders = self.course.unwanted(farewell(), self.now);
                self.obey(orders);
            }
            Step::Stands(which) => {
                let opening: Vec<SocketId> = self.with(Line::Opening);
                if let Some(socket) = opening.get(which % opening.len().max(1)).copied() {
                    self.lines.insert(socket, Line::Open);
                    let order = self.course.opened(socket, self.now, self.load.untaken);
                    self.obey(order);
                }
            }
            Step::Ends(which, verdict) => {
                let all: Vec<SocketId> = self.lines.keys().copied().collect();
                if let Some(socket) = all.get(which % all.len().max(1)).copied() {
                    self.lines.remove(&socket);
                    self.course.over(socket, *verdict, self.now, chance());
                }
            }
            Step::CannotOpen(verdict) => self.cannot_open = Some(*verdict),
            Step::MustWait => self.must_wait = true,
            Step::Later(millis) => self.now += Duration::from_millis(*millis),
            Step::Load(waiting, untaken) => {
                let any = |is| if is { Rest::Some } else { Rest::None };
                self.load = Load { waiting: any(*waiting), untaken: any(*untaken) };
            }
            Step::TryNow => self.course.try_now(),
        }
        self.settle();
        self.check();
    }

    fn with(&self, wanted: Line) -> Vec<SocketId> {
        self.lines.iter().filter(|(_, line)| **line == wanted).map(|(socket, _)| *socket).collect()
    }

    fn obey(&mut self, orders: impl IntoIterator<Item = Order>) {
        for order in orders {
            match order {
                Order::Close(socket, _) => {
                    let before = self.lines.insert(socket, Line::ToldToClose);
                    assert!(matches!(before, Some(Line::Opening | Line::Open)), "{socket} was {before:?}");
                }
                Order::Open => panic!("nothing but `order` asks for a connection"),
            }
        }
    }

    fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 20, "it never comes to rest");
            match self.course.order(self.now, self.load) {
                None => break,
                Some(Order::Open) => self.open(),
                Some(close) => self.obey([close]),
            }
        }
        // Whoever asks to be woken is asked then, and not again and again.
        assert!(self.course.wakes_at().is_none_or(|at| at > self.now), "it wants to be woken in the past");
    }

    fn open(&mut self) {
        if std::mem::take(&mut self.must_wait) {
            return self.course.waits(self.now + Duration::from_secs(60));
        }
        if let Some(verdict) = self.cannot_open.take() {
            return self.course.not_begun(verdict, self.now, chance());
        }
        let opening = self.with(Line::Opening).len();
        assert_eq!(opening, 0, "a second connection is opened while one is on its way");
        assert!(self.lines.is_empty() || self.course.stands(), "a second connection without a first that stands");
        assert!(self.with(Line::Open).len() <= 1, "a third connection is opened");
        let socket = SocketId(self.next);
        self.next += 1;
        self.lines.insert(socket, Line::Opening);
        self.course.begun(socket);
    }

    fn check(&self) {
        let sockets: Vec<SocketId> = self.course.sockets().collect();
        let mut known = sockets.clone();
        known.sort_unstable();
        known.dedup();
        assert_eq!(known.len(), sockets.len(), "one connection in two places");
        assert_eq!(known, self.lines.keys().copied().collect::<Vec<_>>(), "it has lost sight of a connection");
        if let Some(socket) = self.course.speaks() {
            assert_eq!(self.lines.get(&socket), Some(&Line::Open), "it speaks over one that does not stand");
        }
        assert_eq!(self.course.stands(), !self.with(Line::Open).is_empty(), "what stands is not what is said to");
        match self.course.state() {
            State::Open => assert!(self.is_wanted && self.course.stands()),
            State::Closing => assert!(!self.is_wanted && !self.lines.is_empty()),
            State::Failed | State::Waiting => assert!(self.is_wanted),
            State::Closed | State::Connecting => {}
        }
    }

    /// All goes well from now on.
    fn finish(mut self) {
        (self.cannot_open, self.must_wait, self.load) = (None, false, NOTHING);
        if matches!(self.course.state(), State::Closed | State::Failed) && self.is_wanted {
            // They have come to their end, until they are wanted again.
            assert!(self.with(Line::Opening).is_empty() && self.with(Line::Open).is_empty());
            self.course.wanted(Some(MAX_AGE));
        }
        for _ in 0..20 {
            for socket in self.with(Line::ToldToClose) {
                self.lines.remove(&socket);
                self.course.over(socket, Verdict::Closed, self.now, chance());
            }
            self.apply(&Step::Stands(0));
            if let Some(at) = self.course.wakes_at().filter(|_| self.course.state() != State::Open) {
                self.now = self.now.max(at);
            }
            self.apply(&Step::Load(false, false));
        }
        let (wanted, open) = if self.is_wanted { (State::Open, 1) } else { (State::Closed, 0) };
        assert_eq!((self.course.state(), self.lines.len()), (wanted, open));
    }
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![3 => Just(AT_ONCE), 1 => Just(Verdict::Closed), 1 => Just(Verdict::Failed)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::Wanted),
        2 => Just(Step::Changed),
        1 => Just(Step::Unwanted),
        6 => (0_usize..3).prop_map(Step::Stands),
        3 => (0_usize..3, verdict()).prop_map(|(which, verdict)| Step::Ends(which, verdict)),
        1 => verdict().prop_map(Step::CannotOpen),
        1 => Just(Step::MustWait),
        4 => prop::sample::select(vec![1, 400, 4000, 6000, 30_000, 61_000]).prop_map(Step::Later),
        2 => (any::<bool>(), any::<bool>()).prop_map(|(waiting, untaken)| Step::Load(waiting, untaken)),
        1 => Just(Step::TryNow),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn there_is_one_connection_and_two_only_while_one_replaces_the_other(steps in prop::collection::vec(step(), 1..60)) {
        let mut model = Model::new();
        model.settle();
        for step in &steps {
            model.apply(step);
        }
        model.finish();
    }
}

fn open() -> Model {
    let mut model = Model::new();
    model.settle();
    model.apply(&Step::Stands(0));
    assert_eq!(model.course.state(), State::Open);
    model
}

#[test]
fn an_old_connection_is_replaced_once_what_it_was_sent_is_taken() {
    let mut model = open();
    let old = SocketId(1);
    model.apply(&Step::Load(true, true));
    model.apply(&Step::Later(60_000));
    assert_eq!((model.course.speaks(), model.lines.len()), (None, 1), "it holds what is new");
    model.apply(&Step::Load(true, false));
    assert_eq!(model.with(Line::Opening), [SocketId(2)]);
    assert_eq!(model.course.speaks(), None);
    model.apply(&Step::Stands(0));
    assert_eq!(model.course.speaks(), Some(SocketId(2)));
    assert_eq!(model.lines[&old], Line::ToldToClose);
    assert_eq!(model.course.over(old, Verdict::Closed, model.now, chance()), Meaning::Left);
}

#[test]
fn what_an_old_connection_may_still_take_is_not_overtaken() {
    let mut model = open();
    model.apply(&Step::Load(true, true));
    model.apply(&Step::Later(60_000));
    model.apply(&Step::Later(5000));
    model.apply(&Step::Stands(0));
    assert_eq!(model.course.speaks(), None);
    let lost = model.course.over(SocketId(1), Verdict::Closed, model.now, chance());
    assert_eq!((lost, model.course.speaks()), (Meaning::LeftUntaken, Some(SocketId(2))));
}

#[test]
fn where_the_new_connection_cannot_be_had_the_old_one_is_kept() {
    let mut model = open();
    model.apply(&Step::Later(60_000));
    let refused = model.course.over(SocketId(2), Verdict::Failed, model.now, chance());
    model.lines.remove(&SocketId(2));
    assert_eq!((refused, model.course.speaks()), (Meaning::NotRenewed, Some(SocketId(1))));
    model.apply(&Step::Later(30_000));
    assert_eq!(model.with(Line::Opening), [SocketId(3)]);
}

#[test]
fn a_connection_that_is_lost_while_it_is_replaced_leaves_its_place_at_once() {
    let mut model = open();
    model.apply(&Step::Later(60_000));
    model.apply(&Step::Ends(0, Verdict::Failed));
    assert_eq!((model.course.state(), model.lines.len()), (State::Connecting, 1));
    model.apply(&Step::Stands(0));
    assert_eq!(model.course.state(), State::Open);
}

#[test]
fn what_was_queued_is_said_before_a_close_but_not_for_ever() {
    let mut model = open();
    model.apply(&Step::Load(true, false));
    model.apply(&Step::Unwanted);
    assert_eq!((model.course.state(), model.course.speaks()), (State::Closing, Some(SocketId(1))));
    model.apply(&Step::Later(4000));
    assert_eq!(model.lines[&SocketId(1)], Line::Open);
    model.apply(&Step::Later(6000));
    assert_eq!((model.lines[&SocketId(1)], model.course.speaks()), (Line::ToldToClose, None));
    model.apply(&Step::Ends(0, Verdict::Closed));
    assert!(model.course.is_closed_for_good());
}

#[test]
fn a_connection_that_is_changed_before_it_stands_is_begun_anew() {
    let mut model = Model::new();
    model.settle();
    model.apply(&Step::Changed);
    assert_eq!(model.lines[&SocketId(1)], Line::ToldToClose);
    assert_eq!(model.course.state(), State::Connecting);
    model.apply(&Step::Ends(0, Verdict::Closed));
    assert_eq!(model.with(Line::Opening), [SocketId(2)]);
}

#[test]
fn wanting_again_what_stands_touches_nothing() {
    let mut model = open();
    model.apply(&Step::Wanted);
    assert_eq!((model.course.speaks(), model.lines.len()), (Some(SocketId(1)), 1));
    model.apply(&Step::Ends(0, Verdict::Failed));
    assert_eq!(model.course.state(), State::Failed);
    model.apply(&Step::Wanted);
    assert_eq!(model.course.state(), State::Connecting);
}
