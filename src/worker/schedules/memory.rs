//! What the dispatcher's memory holds of schedules: when to look at them, and which run each call belongs to.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::domain::complaint::Complaints;
use crate::domain::moment::Moment;
use crate::domain::schedule::steady_clock::{Reading, SteadyClock, between};
use crate::store::responses::Ending;
use crate::store::schedules::open_runs::CallEnd;
use crate::store::schedules::runs::Slot;
use crate::store::time::now as wall;
use crate::worker::report;
use crate::worker::schedules::begin::Rest;

/// While there are schedules, the clock is looked at this often: somebody may set it forward.
const CLOCK_LOOK: Duration = Duration::from_secs(60);

/// A wait as short as this is exact enough.
const EXACT: Duration = Duration::from_millis(250);

/// How soon something is tried again that failed, that somebody had locked, or for which there was no room.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

/// How soon a schedule is tried again that kept everybody waiting for a lock.
const ASIDE: Duration = Duration::from_secs(30);

/// What a dispatcher knows of its schedules.
pub(in crate::worker) struct Schedules {
    pub(super) clock: SteadyClock,
    /// When the next one is due, by the steady clock.
    pub(super) next_due: Option<Moment>,
    /// Those with a fixed time that are due by the steady clock, but not yet by the one on the wall.
    pub(in crate::worker) held: HashMap<i64, Moment>,
    /// How far the table has been looked at.
    pub(in crate::worker) stage: Stage,
    /// The runs of calls that have not ended.
    pub(in crate::worker) calls: HashMap<i64, Slot>,
    /// Runs whose calls have ended, still to be written.
    pub(in crate::worker) ended: Vec<(Slot, CallEnd)>,
    /// The same, whose schedules somebody had locked.
    pub(in crate::worker) postponed: Vec<(Slot, CallEnd)>,
    /// Schedules that may have a call waiting for another.
    pub(in crate::worker) waiting: HashSet<i64>,
    /// Those whose call waits for room only.
    pub(in crate::worker) crowded: Vec<i64>,
    /// Those of which one could begin, had not somebody else locked them.
    pub(in crate::worker) blocked: HashSet<i64>,
    /// Calls whose runs were overtaken by later ones, to be cancelled.
    pub(in crate::worker) overtaken: HashSet<i64>,
    /// Schedules of which somebody has something locked that had to be waited for, and when they are tried again.
    pub(super) aside: HashMap<i64, Instant>,
    /// What could not be done at the beginning, and when it is tried again.
    pub(super) rest_of_beginning: Option<(Rest, Instant)>,
    /// How many schedules are taken on in one transaction.
    pub(in crate::worker) care: Care,
    pub(super) was_paused: bool,
    /// Before this, nothing is done.
    pub(super) resting_until: Option<Instant>,
    /// Then what somebody had locked, or had no room, is tried again.
    pub(super) again_at: Option<Instant>,
    complaints: Complaints,
}

/// How far the table of schedules has been looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::worker) enum Stage {
    /// Not yet since this dispatcher began.
    Beginning,
    /// The clock was set back so far that what had been planned must be planned anew.
    ClockReset,
    /// Somebody has changed something.
    Changed,
    /// All that matters is known.
    Known,
}

/// How many schedules are taken on in one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::worker) enum Care {
    /// As many as there are.
    Batch,
    /// One of them has failed a transaction, so each gets one of its own until that one is found.
    OneByOne,
}

/// What the clocks show.
#[derive(Clone, Copy, Debug)]
pub(in crate::worker) struct Clocks {
    pub wall: Moment,
    /// For what follows real time.
    pub steady: Moment,
}

impl Schedules {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self {
            clock: SteadyClock::showing(wall(), Instant::now()),
            next_due: None,
            held: HashMap::new(),
            stage: Stage::Beginning,
            calls: HashMap::new(),
            ended: Vec::new(),
            postponed: Vec::new(),
            waiting: HashSet::new(),
            crowded: Vec::new(),
            blocked: HashSet::new(),
            overtaken: HashSet::new(),
            aside: HashMap::new(),
            rest_of_beginning: None,
            care: Care::Batch,
            was_paused: false,
            resting_until: None,
            again_at: None,
            complaints: Complaints::default(),
        }
    }

    /// Somebody has changed something, or may have.
    pub fn want(&mut self) {
        if self.stage == Stage::Known {
            self.stage = Stage::Changed;
        }
    }

    /// These calls have ended, and that is committed.
    pub fn note_ends(&mut self, endings: &[Ending]) {
        for ending in endings {
            self.overtaken.remove(&ending.call.0);
            if let Some(slot) = self.calls.remove(&ending.call.0) {
                self.ended.push((slot, CallEnd { state: ending.state.name(), error: ending.trace.error.clone() }));
            }
        }
    }

    /// This call has ended, in a way that is to be read from the table.
    pub fn ended_somehow(&mut self, call: i64) {
        self.overtaken.remove(&call);
        if self.calls.remove(&call).is_some() {
            self.want();
        }
    }

    pub(super) fn read_clocks(&mut self) -> Clocks {
        let wall = wall();
        let steady = match self.clock.read(wall, Instant::now()) {
            Reading::Steady(steady) => steady,
            Reading::Reset(now) => {
                report::warn(
                    "the clock was set back by more than a day; schedules are planned anew from what it shows now",
                );
                self.stage = if self.stage == Stage::Beginning { Stage::Beginning } else { Stage::ClockReset };
                now
            }
        };
        Clocks { wall, steady }
    }

    pub(super) fn is_due(&self, clocks: Clocks) -> bool {
        self.next_due.is_some_and(|due| due <= clocks.steady) || self.held.values().any(|due| *due <= clocks.wall)
    }

    /// What waits for the clock on the wall no longer does so if that shows its time.
    pub(super) fn release_held(&mut self, clocks: Clocks) {
        self.held.retain(|_, due| *due > clocks.wall);
    }

    /// Keeps in mind what could not be done at the beginning.
    pub(super) fn keep_rest(&mut self, rest: Option<Rest>) {
        self.rest_of_beginning = rest.map(|rest| (rest, Instant::now() + PAUSE));
    }

    /// Passes over a schedule for a while.
    pub(super) fn set_aside(&mut self, schedule: i64) {
        self.aside.insert(schedule, Instant::now() + ASIDE);
    }

    /// What was passed over for long enough is tried again.
    pub(super) fn release_aside(&mut self) {
        let (before, now) = (self.aside.len(), Instant::now());
        self.aside.retain(|_, until| *until > now);
        if self.aside.len() < before {
            self.want();
        }
    }

    /// The schedules that are not read, though they are due.
    pub(super) fn passed_over(&self) -> Vec<i64> {
        self.held.keys().chain(self.aside.keys()).copied().collect()
    }

    /// Says what is wrong, but what is wrong all the time only now and then.
    pub(super) fn complain(&mut self, text: &str) {
        if self.complaints.is_due(text, Instant::now()) {
            report::log(&format!("dispatcher, about schedules: {text}"));
        }
    }

    pub(super) fn rest(&mut self) {
        self.resting_until = Some(Instant::now() + PAUSE);
    }

    /// How long there is nothing to do about schedules, unless somebody says so. `None` if there will never be.
    pub fn pause(&self, may_run: MayRun) -> Option<Duration> {
        let now = Instant::now();
        if let Some(until) = self.resting_until.filter(|until| *until > now) {
            return Some(until - now);
        }
        if self.stage != Stage::Known || !self.ended.is_empty() {
            return Some(Duration::ZERO);
        }
        let rest = self.rest_of_beginning.map(|(_, at)| at);
        let again = [self.again_at, rest].into_iter().flatten().min().map(|at| at.saturating_duration_since(now));
        if may_run == MayRun::No {
            return again;
        }
        let wall = wall();
        let next = self.next_due.map(|due| approach(self.clock.wait_until(due, wall)).min(CLOCK_LOOK));
        let aside = self.aside.values().min().map(|at| at.saturating_duration_since(now));
        let held = self.held.values().min().map(|due| approach(between(wall, *due)).min(CLOCK_LOOK));
        [again, next, held, aside].into_iter().flatten().min()
    }
}

/// Whether runs may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::worker) enum MayRun {
    Yes,
    /// Sending is paused, or the dispatcher stops. Only ends are written.
    No,
}

/// How long to wait first for something that is due after so long. Linux lets a wait last a thousandth longer than it was asked
/// to, 60 ms in a minute. So a long one ends a little before the time, and a short one follows, which is exact.
fn approach(wait: Duration) -> Duration {
    if wait > EXACT { wait - wait / 256 } else { wait }
}
