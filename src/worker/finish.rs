//! How a dispatcher ends: calls on the wire may take the grace to end, and what came of them is written.
//!
//! Runs on the main thread of a dispatcher.

use std::time::{Duration, SystemTime};

use super::dispatcher;
use super::latch::Woken;
use super::report;
use super::turn::{Dispatcher, Turn};

/// How long peers of websockets may take to say good-bye.
const LONGEST_FAREWELL: Duration = Duration::from_millis(500);

impl Dispatcher {
    /// Gives the calls on the wire `grace` to end, writes what came of them, and stops the engine.
    pub(super) fn finish(&mut self, grace: Duration) {
        let began = SystemTime::now();
        let deadline = began + grace;
        let farewell = began + grace.min(LONGEST_FAREWELL);
        self.stop_taking();
        self.leave_sockets();
        while let Some(turn) = self.last_turn() {
            let until = if self.nothing_in_flight() { farewell } else { deadline };
            let left = until.duration_since(SystemTime::now()).unwrap_or_default();
            let is_done = self.nothing_in_flight() && self.sockets.count() == 0 && self.jobs.is_empty();
            if left.is_zero() || is_done || turn == Turn::ExtensionGone {
                break;
            }
            // Rows of jobs are looked at again. Those that a session has locked are not waited for beyond the farewell: what it
            // reports, the next dispatcher finds.
            let looks = self.jobs.next_look(SystemTime::now());
            let looks = looks.map_or(left, |at| at.duration_since(SystemTime::now()).unwrap_or_default());
            let pause = if turn == Turn::ExtensionChanging { dispatcher::PAUSE_FOR_DDL } else { looks }.min(left);
            if dispatcher::rest(pause) == Woken::Orphaned {
                break;
            }
        }
        self.stop_engine();
        // What the engine finished in its last moments. Answers and streams may have left more than one turn writes. Where
        // somebody changes the extension nothing can be written, and a stop waits for nobody.
        while self.last_turn() == Some(Turn::Done) && self.is_behind() {}
    }

    /// A turn while stopping; `None` where it failed.
    fn last_turn(&mut self) -> Option<Turn> {
        self.turn(SystemTime::now())
            .inspect_err(|aborted| report::log(&format!("dispatcher, while stopping: {aborted}")))
            .ok()
    }

    /// Whether the engine has said something that is not written yet, and can be.
    fn is_behind(&self) -> bool {
        let now = SystemTime::now();
        let returned = self.returned.next_look().is_some_and(|at| at <= now);
        self.streams.is_behind()
            || !self.reports.is_empty()
            || returned
            || self.sockets.is_behind()
            || self.jobs.is_due(now)
    }

    /// Whether no call is on the wire.
    pub(super) fn nothing_in_flight(&self) -> bool {
        self.ledger.in_flight() == 0 && self.reports.is_empty() && !self.jobs.is_due(SystemTime::now())
    }

    /// How long calls on the wire may take to end when the dispatcher stops.
    pub(super) fn grace(&self) -> Duration {
        self.settings.shutdown_grace
    }

    /// Sends nothing more.
    pub(super) fn stop_taking(&mut self) {
        self.stopping = true;
        self.runners.stop();
    }

    /// Ends the engine at once, keeping what it had finished. Calls still on the wire are left to the next dispatcher.
    pub(super) fn stop_engine(&mut self) {
        if let Some(engine) = self.engine.take() {
            let stopped = engine.stop(Duration::ZERO);
            self.streams.add(stopped.pieces);
            self.reports.extend(stopped.reports);
            self.sockets.add_news(stopped.sockets);
        }
    }
}
