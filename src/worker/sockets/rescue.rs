//! What is done when a transaction with websockets has failed.

use std::time::{Instant, SystemTime};

use super::turn::transact;
use super::write::{Handlings, Pending};
use crate::store::transaction::{Aborted, under_snapshot};
use crate::worker::report;
use crate::worker::turn::Dispatcher;

/// Rows that cannot be stored, and not by the server's fault.
struct Refused {
    why: Aborted,
    rows: Pending,
}

impl Dispatcher {
    /// The transaction failed. If the server is not at fault, a row is. What came together is written by itself, and in halves
    /// where that fails, until it is known which message cannot be stored; that one alone is given up.
    pub(super) fn sockets_failed(&mut self, aborted: &Aborted) {
        self.sockets.complain(&aborted.to_string());
        if !aborted.is_transient() {
            self.write_one_by_one();
        }
        self.sockets.rest();
    }

    fn write_one_by_one(&mut self) {
        let Pending { mut landings, outcomes, states } = std::mem::take(&mut self.sockets.pending);
        let mut kept = Pending::default();
        while let Some(landing) = landings.pop_front() {
            let connection = landing.connection;
            // None overtakes one before it.
            if kept.landings.iter().any(|earlier| earlier.connection == connection) {
                kept.landings.push_back(landing);
                continue;
            }
            let alone = Pending { landings: [landing].into(), ..Pending::default() };
            let Err(Refused { why, rows }) = self.write_alone_of_sockets(alone, &mut kept) else { continue };
            for refused in rows.landings {
                match refused.halves() {
                    Ok([first, second]) => {
                        landings.push_front(second);
                        landings.push_front(first);
                    }
                    Err(_one) => {
                        report::warn(&format!(
                            "a message of websocket {connection} cannot be stored and is lost: {why}"
                        ));
                    }
                }
            }
        }
        for outcome in outcomes {
            // One that cannot be stored has one already, or its message is gone.
            let message = outcome.message;
            let alone = Pending { outcomes: vec![outcome], ..Pending::default() };
            if let Err(Refused { why, .. }) = self.write_alone_of_sockets(alone, &mut kept) {
                report::log(&format!("what became of message {message} cannot be stored: {why}"));
            }
        }
        if !kept.outcomes.is_empty() {
            // A state may say that there is nothing left to be sent, and comes after what it rests on.
            kept.states.extend(states);
            self.sockets.pending = kept;
            return;
        }
        for connection in states {
            let alone = Pending { states: [connection].into(), ..Pending::default() };
            if let Err(Refused { why, .. }) = self.write_alone_of_sockets(alone, &mut kept) {
                report::log(&format!("the state of websocket {connection} cannot be stored: {why}"));
            }
        }
        self.sockets.pending = kept;
    }

    /// Writes some rows in a transaction of their own. Where that is not possible now, they are kept.
    fn write_alone_of_sockets(&mut self, alone: Pending, kept: &mut Pending) -> Result<(), Refused> {
        self.sockets.pending = alone;
        let slot = self.ring.current;
        let (now, clock) = (SystemTime::now(), Instant::now());
        let served = self.extension;
        let written = transact(served, || {
            under_snapshot(|| {
                let mut written = self.sockets.write_messages(slot, now)?;
                self.sockets.write_states(&mut written, now, clock)?;
                let durability = written.durability();
                Ok((written, durability))
            })
        });
        match written {
            Ok(Some(written)) => {
                self.wants.callbacks |= written.handlings == Handlings::Some;
                self.sockets.written(&written);
                Ok(())
            }
            Ok(None) => {
                self.keep_for_later(kept);
                Ok(())
            }
            Err(failed) if failed.is_transient() => {
                self.keep_for_later(kept);
                Ok(())
            }
            Err(why) => Err(Refused { why, rows: std::mem::take(&mut self.sockets.pending) }),
        }
    }

    fn keep_for_later(&mut self, kept: &mut Pending) {
        let Pending { landings, outcomes, states } = std::mem::take(&mut self.sockets.pending);
        kept.landings.extend(landings);
        kept.outcomes.extend(outcomes);
        kept.states.extend(states);
    }
}
