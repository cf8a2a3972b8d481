//! The websockets of a dispatcher: opened as they are wanted, spoken over, listened to.
//!
//! Runs on the main thread of a dispatcher, after the turn's own transaction. What is wanted and what is to be sent stands on
//! disk; memory knows how each connection is. While nothing happens to any of them, no statement is run, however many there
//! are. What is to be written is kept until a transaction with it has committed.

mod held;
mod keep;
mod memory;
mod messages;
mod news;
mod opening;
mod planning;
mod rescue;
mod stopping;
mod turn;
mod wishes;
mod write;

use std::time::{Instant, SystemTime};

pub(in crate::worker) use memory::Sockets;

use crate::worker::turn::Dispatcher;

impl Dispatcher {
    /// Does what there is to do about websockets. A failure costs the calls nothing: it is logged, and tried again.
    pub(in crate::worker) fn run_sockets(&mut self, now: SystemTime) {
        let before = self.sockets.count();
        self.keep_sockets(now);
        if self.sockets.count() != before {
            self.limit_calls();
        }
    }

    fn keep_sockets(&mut self, now: SystemTime) {
        let clock = Instant::now();
        self.take_socket_news(now, clock);
        self.sockets.wake(clock);
        self.decide_about_sockets(clock);
        if self.sockets.is_resting(clock) || !self.sockets.has_work() {
            return;
        }
        self.sockets_transaction(now, clock);
        self.decide_about_sockets(Instant::now());
    }
}
