//! Finding the messages that are to be sent.
//!
//! All of it happens under one snapshot. So whatever is read from disk of a connection has been seen by the cursor as well, and
//! is found once; and a wish to close is not taken in before the messages that were committed before it.

use std::time::Instant;

use super::news::CLOSED;
use super::wishes::Others;
use crate::domain::cursor::{IdRange, Scan};
use crate::domain::socket::outgoing::Letter;
use crate::error::Error;
use crate::store::sockets::outcomes::{Fate, Outcome};
use crate::store::sockets::unsent::{self, Found};
use crate::store::transaction::under_snapshot;
use crate::worker::turn::{Dispatcher, care};

/// Messages found in one scan.
const SCAN: usize = 1024;

/// Messages given up at once.
const HANDFUL: usize = 1024;

/// Why a message of a connection that was forgotten is not sent.
const NO_CONNECTION: &str = "the connection does not exist any more";

/// What a scan has come to.
struct Scanned {
    found: Vec<Found>,
    /// Up to this id, everything that is visible has been found.
    covered: i64,
    others: Others,
}

impl Dispatcher {
    /// Reads whatever there is a reason to read. The sequence is read before the snapshot is taken: the cursor rests on that
    /// order.
    pub(super) fn read_wishes_and_messages(&mut self, clock: Instant) -> Result<(), Error> {
        if !self.sockets.has_to_read() {
            return Ok(());
        }
        let last = under_snapshot(unsent::last_handed_out)?;
        under_snapshot(|| {
            let Scanned { found, covered, others } = self.scan_messages(last)?;
            let is_unknown = |found: &Found| !self.sockets.held.contains_key(&found.connection);
            let takes_others = self.sockets.wants.wishes && others == Others::TakenToo;
            if takes_others || found.iter().any(is_unknown) {
                // Those that are not known yet come first, or their messages would belong to nobody.
                self.take_wishes(clock, Others::Later)?;
            }
            for message in found {
                self.admit_message(message);
            }
            if takes_others {
                self.take_wishes(clock, Others::TakenToo)?;
            }
            self.refill_sockets(covered)?;
            self.give_up_messages(covered)
        })
    }

    fn scan_messages(&mut self, last: i64) -> Result<Scanned, Error> {
        let sockets = &mut self.sockets;
        let ranges = sockets.cursor.ranges(last);
        let first = ranges.first().map_or(last, |range| range.first);
        let scan = unsent::scan(&ranges, care(first, sockets.recovering_to), SCAN)?;
        let stopped_early = scan.found.len() >= SCAN;
        let covered = if stopped_early { scan.found.last().map_or(last, |found| found.mark.id) } else { last };
        let own = sockets.own_ids.partition_point(|id| *id <= covered);
        let mut seen: Vec<i64> = sockets.own_ids.drain(..own).collect();
        seen.extend(scan.found.iter().map(|found| found.mark.id));
        seen.sort_unstable();
        sockets.cursor.observe(&Scan { covered, xmin: scan.xmin, next_xid: scan.next_xid, seen: &seen });
        sockets.wants.messages = stopped_early;
        sockets.plan_gap_poll();
        Ok(Scanned { found: scan.found, covered, others: if stopped_early { Others::Later } else { Others::TakenToo } })
    }

    /// Has a message sent, or leaves it on disk where there is no room for it, or no connection.
    fn admit_message(&mut self, found: Found) {
        let Found { connection, mark, payload } = found;
        let Some(held) = self.sockets.held.get_mut(&connection) else {
            let outcome = Outcome { message: mark.id, slot: mark.slot, fate: Fate::Failed(NO_CONNECTION) };
            return self.sockets.pending.outcomes.push(outcome);
        };
        match payload {
            Some(payload) if held.course.stands() => held.outgoing.admit(Letter { mark, payload }),
            _ => held.outgoing.leave_on_disk(mark.id),
        }
        self.sockets.touched.insert(connection);
    }

    /// Reads messages for which there was no room before.
    fn refill_sockets(&mut self, covered: i64) -> Result<(), Error> {
        for connection in std::mem::take(&mut self.sockets.hungry) {
            let Some(held) = self.sockets.held.get_mut(&connection) else { continue };
            let Some(appetite) = held.outgoing.appetite().filter(|_| held.course.stands()) else { continue };
            let (most, most_bytes) = (appetite.most, appetite.most_bytes);
            let letters = unsent::waiting(connection, appetite, covered)?;
            let bytes: usize = letters.iter().map(|letter| letter.mark.size).sum();
            let is_cut = letters.len() >= most || bytes >= most_bytes;
            let after_last = letters.last().filter(|_| is_cut).map(|last| last.mark.id + 1);
            let beyond = (covered < self.sockets.cursor.covered()).then_some(covered + 1);
            held.outgoing.refill(letters, after_last.or(beyond));
            self.sockets.touched.insert(connection);
        }
        Ok(())
    }

    /// Gives up messages of connections that were closed.
    fn give_up_messages(&mut self, covered: i64) -> Result<(), Error> {
        for connection in std::mem::take(&mut self.sockets.giving_up) {
            let Some(held) = self.sockets.held.get_mut(&connection) else { continue };
            let Some(IdRange { first, last }) = held.gives_up else { continue };
            let unsent = unsent::unsent(connection, IdRange { first, last: last.min(covered) }, HANDFUL)?;
            let is_cut = unsent.len() >= HANDFUL;
            let next = unsent.last().filter(|_| is_cut).map(|(id, _)| id + 1);
            held.gives_up =
                next.or((covered < last).then_some(covered + 1)).map(|next| IdRange { first: next.max(first), last });
            if held.gives_up.is_some() {
                self.sockets.giving_up.insert(connection);
            }
            let outcome = |(message, slot)| Outcome { message, slot, fate: Fate::Failed(CLOSED) };
            self.sockets.pending.outcomes.extend(unsent.into_iter().map(outcome));
            self.sockets.pending.states.insert(connection);
        }
        Ok(())
    }
}
