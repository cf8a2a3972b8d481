//! What the dispatcher's memory holds of its websockets: how each is, when to look at it, and what is to be written of it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use super::held::Held;
use super::write::Pending;
use crate::domain::complaint::Complaints;
use crate::domain::cursor::Cursor;
use crate::domain::socket::plan::SocketId;
use crate::domain::socket::rounds::Rounds;
use crate::engine::SocketNews;
use crate::worker::report;
use crate::worker::wake::reason;

/// How soon something is tried again that failed.
const PAUSE: Duration = Duration::from_millis(500);

/// While messages may still appear among ids already passed, they are looked for this often.
const GAP_POLL: Duration = Duration::from_secs(5);

/// The cursor hears of the ids that we have taken ourselves before there are more than these.
const OWN_IDS: usize = 1024;

/// What a dispatcher knows of its websockets.
pub(in crate::worker) struct Sockets {
    pub(super) stage: Stage,
    pub(super) held: HashMap<i64, Held>,
    /// Whose each connection is that there is or may be.
    pub(super) lines: HashMap<SocketId, i64>,
    /// Those that have not been answered yet.
    pub(super) opening: HashSet<SocketId>,
    pub(super) next_socket: u64,
    pub(super) cursor: Cursor,
    /// Up to this id, a predecessor may have dealt with messages.
    pub(super) recovering_to: i64,
    /// Ids that were taken for messages that came, and of which the cursor does not know yet.
    pub(super) own_ids: Vec<i64>,
    pub(super) wants: Wants,
    /// Which ones are to be looked at when.
    pub(super) agenda: BTreeSet<(Instant, i64)>,
    /// Those to which something has happened.
    pub(super) touched: BTreeSet<i64>,
    /// Those that are to be opened, by owner.
    pub(super) to_open: Rounds<u32, i64>,
    /// Those that have room for messages that are on disk.
    pub(super) hungry: BTreeSet<i64>,
    /// Those whose messages on disk are to be given up.
    pub(super) giving_up: BTreeSet<i64>,
    /// Those that wait for another to end, since there are as many as there may be.
    pub(super) crowded: BTreeSet<i64>,
    /// Those whose endpoint is disabled.
    pub(super) barred: BTreeSet<i64>,
    pub(super) pending: Pending,
    /// What the engine has said, and nobody has looked at.
    pub(in crate::worker) news: Vec<SocketNews>,
    pub(super) resting_until: Option<Instant>,
    pub(super) next_gap_poll: Option<Instant>,
    complaints: Complaints,
}

/// How far the tables have been looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not yet since this dispatcher began.
    Beginning,
    Known,
}

/// What is to be read in the next transaction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wants {
    pub wishes: bool,
    pub messages: bool,
}

impl Sockets {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self {
            stage: Stage::Beginning,
            held: HashMap::new(),
            lines: HashMap::new(),
            opening: HashSet::new(),
            next_socket: 1,
            cursor: Cursor::starting_at(1),
            recovering_to: 0,
            own_ids: Vec::new(),
            wants: Wants::default(),
            agenda: BTreeSet::new(),
            touched: BTreeSet::new(),
            to_open: Rounds::default(),
            hungry: BTreeSet::new(),
            giving_up: BTreeSet::new(),
            crowded: BTreeSet::new(),
            barred: BTreeSet::new(),
            pending: Pending::default(),
            news: Vec::new(),
            resting_until: None,
            next_gap_poll: None,
            complaints: Complaints::default(),
        }
    }

    /// Takes the reasons that others left.
    pub fn note_reasons(&mut self, reasons: u32) {
        self.wants.wishes |= reasons & reason::SOCKETS != 0;
        self.wants.messages |= reasons & reason::MESSAGES != 0;
        if reasons & (reason::ENDPOINTS | reason::SECRETS) != 0 {
            let barred = std::mem::take(&mut self.barred);
            self.try_now(barred);
        }
    }

    /// Somebody may have changed something without a word, as a dump does that is restored.
    pub fn want(&mut self) {
        self.wants = Wants { wishes: true, messages: !self.held.is_empty() };
    }

    /// The settings are other ones now.
    pub fn reconfigure(&mut self) {
        let crowded = std::mem::take(&mut self.crowded);
        self.try_now(crowded);
        self.want();
    }

    /// How long nothing is to be done, unless something happens. `None` where there is nothing to wait for.
    pub fn pause(&self) -> Option<Duration> {
        let clock = Instant::now();
        let rest = self.resting_until.filter(|until| *until > clock);
        let at_once = !self.news.is_empty() || !self.touched.is_empty() || (rest.is_none() && self.has_work());
        if at_once {
            return Some(Duration::ZERO);
        }
        let next = self.agenda.first().map(|(at, _)| *at);
        let first = [next, rest, self.next_gap_poll].into_iter().flatten().min()?;
        Some(first.saturating_duration_since(clock))
    }

    /// How many connections there are or may be.
    pub fn count(&self) -> usize {
        self.lines.len()
    }

    /// The ring has moved on, and what was carried over is in another slot.
    pub fn move_slot(&mut self, from: i16, to: i16) {
        self.held.values_mut().for_each(|held| held.outgoing.move_slot(from, to));
        self.pending.move_slot(from, to);
    }

    /// Whether there is a reason for a transaction.
    pub(super) fn has_work(&self) -> bool {
        self.stage == Stage::Beginning || self.has_to_read() || self.may_open() || !self.pending.is_empty()
    }

    /// Whether there is a reason to read anything.
    pub(super) fn has_to_read(&self) -> bool {
        self.wants.wishes
            || self.wants.messages
            || !self.hungry.is_empty()
            || !self.giving_up.is_empty()
            || self.own_ids.len() >= OWN_IDS
    }

    pub(super) fn is_resting(&mut self, clock: Instant) -> bool {
        self.resting_until.take_if(|until| *until <= clock);
        self.resting_until.is_some()
    }

    pub(super) fn rest(&mut self) {
        self.resting_until = Some(Instant::now() + PAUSE);
    }

    /// Looks at those whose time has come.
    pub(super) fn wake(&mut self, clock: Instant) {
        while let Some((at, connection)) = self.agenda.first().copied() {
            if at > clock {
                break;
            }
            self.agenda.pop_first();
            if let Some(held) = self.held.get_mut(&connection) {
                held.wakes_at = None;
                self.touched.insert(connection);
            }
        }
        if self.next_gap_poll.take_if(|at| *at <= clock).is_some() {
            self.wants.messages = true;
        }
    }

    /// Has the agenda say when this one is to be looked at.
    pub(super) fn schedule(&mut self, connection: i64) {
        let Some(held) = self.held.get_mut(&connection) else { return };
        let wakes_at = held.course.wakes_at();
        if held.wakes_at == wakes_at {
            return;
        }
        if let Some(before) = held.wakes_at {
            self.agenda.remove(&(before, connection));
        }
        if let Some(at) = wakes_at {
            self.agenda.insert((at, connection));
        }
        held.wakes_at = wakes_at;
    }

    /// The cursor has been told of a scan: looks again later where ids may still commit.
    pub(super) fn plan_gap_poll(&mut self) {
        self.next_gap_poll = self.cursor.has_gaps().then(|| Instant::now() + GAP_POLL);
    }

    /// It is to be opened, once it is its owner's turn.
    pub(super) fn ask_to_open(&mut self, connection: i64) {
        if let Some(held) = self.held.get(&connection) {
            self.to_open.insert(held.wish.owner.to_u32(), connection);
        }
    }

    /// Tries these again, whatever they wait for.
    pub(super) fn try_now(&mut self, connections: BTreeSet<i64>) {
        for connection in connections {
            if let Some(held) = self.held.get_mut(&connection) {
                held.course.try_now();
                self.touched.insert(connection);
            }
        }
    }

    /// There is a place for one more.
    pub(super) fn admit_one(&mut self) {
        while let Some(first) = self.crowded.pop_first() {
            // Others have come to their end meanwhile.
            if self.held.get(&first).is_some_and(|held| held.course.is_put_off()) {
                return self.try_now(BTreeSet::from([first]));
            }
        }
    }

    /// Says what is wrong, but the same thing only now and then.
    pub(super) fn complain(&mut self, text: &str) {
        if self.complaints.is_due(text, Instant::now()) {
            report::log(&format!("dispatcher, of websockets: {text}"));
        }
    }
}
