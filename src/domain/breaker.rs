//! The circuit breaker of one endpoint: it stops calling what keeps failing, and probes when to begin again.
//!
//! It opens on a run of failures, or when at least half of enough answers in half a minute were failures. While it is
//! open nothing is sent and no call loses an attempt. When its time is up one call goes out as a probe: what becomes of
//! that one closes the breaker, or opens it again for twice as long.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRules {
    /// So many failures in a row open it; zero keeps it closed for ever.
    pub failures: u32,
    /// How long it stays open the first time.
    pub first_pause: Duration,
}

/// It never stays open longer than this before it probes.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// The share of failures is taken over this long.
const WINDOW: Duration = Duration::from_secs(30);

/// The window moves on by this much at a time.
const BUCKET: Duration = Duration::from_secs(5);

/// With fewer answers in the window, the share of failures says nothing.
const ENOUGH: u32 = 20;

/// How an attempt speaks for or against its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It did its work, or found fault with the request.
    Well,
    /// It failed, or did not answer.
    Ill,
    /// The attempt says nothing about it: it was cancelled, or failed through our own fault.
    Unknown,
}

/// Whether calls may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// All may.
    Closed,
    /// None may before then.
    Open(SystemTime),
    /// One may, or is out.
    HalfOpen,
}

/// The breaker of one endpoint.
#[derive(Clone, Debug)]
pub struct Breaker {
    state: State,
    probing: bool,
    /// Calls that were out when it opened: what becomes of them says nothing new.
    stragglers: usize,
    in_a_row: u32,
    buckets: VecDeque<Bucket>,
    /// How often it has opened without a lasting recovery in between.
    openings: u32,
    closed_at: Option<SystemTime>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    since: SystemTime,
    answers: u32,
    failures: u32,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self { failures: 5, first_pause: Duration::from_secs(30) }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            state: State::Closed,
            probing: false,
            stragglers: 0,
            in_a_row: 0,
            buckets: VecDeque::new(),
            openings: 0,
            closed_at: None,
        }
    }
}

impl Breaker {
    /// Whether one more call may go out.
    pub fn admits(&self, now: SystemTime) -> bool {
        match self.state(now) {
            State::Closed => true,
            State::Open(_) => false,
            State::HalfOpen => !self.probing,
        }
    }

    /// Where it stands.
    pub fn state(&self, now: SystemTime) -> State {
        match self.state {
            State::Open(until) if until <= now => State::HalfOpen,
            state => state,
        }
    }

    /// A call goes out. It must have been admitted.
    pub fn sent(&mut self, now: SystemTime) {
        self.state = self.state(now);
        self.probing = self.state == State::HalfOpen;
    }

    /// A call that was to go out does not. If it was the probe, another may be.
    pub fn recalled(&mut self) {
        self.probing = false;
    }

    /// A call that is still out is being answered. If it is the probe, that is what it was to find out; how its answer ends
    /// counts like that of any other call.
    pub fn answers(&mut self, now: SystemTime) {
        if self.state(now) == State::HalfOpen && self.probing && self.stragglers == 0 {
            self.close(now);
        }
    }

    /// A call has come back, and so many others are still out.
    ///
    /// Calls that were out when it opened are taken to come back before the probe: they began earlier.
    pub fn heard(&mut self, health: Health, rules: &BreakerRules, others: usize, now: SystemTime) {
        let state = self.state(now);
        if state != State::Closed && self.stragglers > 0 {
            self.stragglers -= 1;
            return;
        }
        match (state, health) {
            (State::Open(_), _) => {}
            (State::HalfOpen, Health::Unknown) => self.probing = false,
            (State::HalfOpen, Health::Ill) => self.open(rules, others, now),
            (State::HalfOpen, Health::Well) => self.close(now),
            (State::Closed, Health::Unknown) => {}
            (State::Closed, Health::Well) => {
                self.in_a_row = 0;
                self.count(health, now);
            }
            (State::Closed, Health::Ill) => {
                self.in_a_row += 1;
                self.count(health, now);
                if rules.failures > 0 && (self.in_a_row >= rules.failures || self.mostly_failures()) {
                    self.open(rules, others, now);
                }
            }
        }
    }

    /// Whether nothing is lost by forgetting it.
    pub fn is_fresh(&self, now: SystemTime) -> bool {
        self.state == State::Closed && self.in_a_row == 0 && !self.remembers(now)
    }

    fn open(&mut self, rules: &BreakerRules, others: usize, now: SystemTime) {
        self.stragglers = others;
        if !self.remembers(now) {
            self.openings = 0;
        }
        let pause = rules.first_pause.saturating_mul(1 << self.openings.min(16)).min(LONGEST_PAUSE);
        self.openings += 1;
        self.state = State::Open(now + pause);
        self.forget();
    }

    fn close(&mut self, now: SystemTime) {
        self.state = State::Closed;
        self.closed_at = Some(now);
        self.forget();
    }

    /// An endpoint that fails again soon after it recovered has not recovered, and is left alone for longer.
    fn remembers(&self, now: SystemTime) -> bool {
        self.state != State::Closed || self.closed_at.is_some_and(|at| now < at + LONGEST_PAUSE)
    }

    fn forget(&mut self) {
        self.probing = false;
        self.in_a_row = 0;
        self.buckets.clear();
    }

    fn count(&mut self, health: Health, now: SystemTime) {
        while self.buckets.front().is_some_and(|bucket| bucket.since + WINDOW <= now) {
            self.buckets.pop_front();
        }
        if self.buckets.back().is_none_or(|bucket| bucket.since + BUCKET <= now) {
            self.buckets.push_back(Bucket { since: now, answers: 0, failures: 0 });
        }
        if let Some(bucket) = self.buckets.back_mut() {
            bucket.answers += 1;
            bucket.failures += u32::from(health == Health::Ill);
        }
    }

    fn mostly_failures(&self) -> bool {
        let answers: u32 = self.buckets.iter().map(|bucket| bucket.answers).sum();
        let failures: u32 = self.buckets.iter().map(|bucket| bucket.failures).sum();
        answers >= ENOUGH && failures * 2 >= answers
    }
}
