//! What a peer has taken of the messages it was sent. Websockets do not say it; pings do: their pong can only come after
//! the frames before the ping were read.
//!
//! A ping follows messages once they have waited for others, or there are many of them, and only one such ping is out at
//! a time. A peer that lets a ping wait for too long while it talks does not answer pings at all: from then on, what has
//! been written counts as taken.

use std::time::{Duration, Instant};

/// When a ping follows messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    /// How long messages wait for others before.
    pub after: Duration,
    /// With so many messages, they do not wait.
    pub many: u64,
}

/// How many pings that were sent to see whether the peer lives may be out beside the one that follows messages. A peer
/// that owes more than that will not answer the oldest.
const MOST_OUT: usize = 16;

/// What is known of one connection's messages, which are counted from its beginning.
#[derive(Clone, Debug)]
pub struct Acknowledgement {
    asking: Asking,
    /// How long a ping may go unanswered while the peer talks.
    limit: Duration,
    /// Put into the connection's buffer, or farther.
    written: u64,
    /// Out of our hands.
    flushed: u64,
    /// Said to be taken.
    taken: u64,
    /// When the first message was written that no ping follows.
    waiting_since: Option<Instant>,
    pings: Pings,
}

#[derive(Clone, Debug)]
enum Pings {
    /// The peer answers them, as far as is known. Those that are out, oldest first, and the number of the next one.
    Answered { out: Vec<Ping>, next: u64 },
    /// It does not.
    Ignored,
}

/// A ping that is out.
#[derive(Clone, Copy, Debug)]
struct Ping {
    number: u64,
    /// How many messages had been written before it.
    follows: u64,
    /// When it had left our hands.
    sent: Option<Instant>,
}

// === impl Asking ===

impl Default for Asking {
    /// What is hardly noticed by whoever waits for a single message, and costs little beside a hundred.
    fn default() -> Self {
        Self { after: Duration::from_millis(10), many: 64 }
    }
}

// === impl Acknowledgement ===

impl Acknowledgement {
    /// For a connection that has just been opened.
    pub fn new(asking: Asking, limit: Duration) -> Self {
        let pings = Pings::Answered { out: Vec::new(), next: 1 };
        Self { asking, limit, written: 0, flushed: 0, taken: 0, waiting_since: None, pings }
    }

    /// One more message has been written.
    pub fn write(&mut self, now: Instant) {
        self.written += 1;
        self.waiting_since.get_or_insert(now);
    }

    /// All that was written has left our hands. Gives how many messages count as taken by it: none, but where the peer
    /// answers no pings.
    pub fn flush(&mut self, now: Instant) -> u64 {
        self.flushed = self.written;
        match &mut self.pings {
            Pings::Answered { out, .. } => {
                out.iter_mut().filter(|ping| ping.sent.is_none()).for_each(|ping| ping.sent = Some(now));
                0
            }
            Pings::Ignored => self.take(self.flushed),
        }
    }

    /// When a ping should follow what was written; `None` where there is nothing to ask, or a question is open already.
    pub fn ask_at(&self) -> Option<Instant> {
        let since = self.waiting_since?;
        let Pings::Answered { out, .. } = &self.pings else { return None };
        let followed = out.last().map_or(self.taken, |ping| ping.follows);
        if out.iter().any(|ping| ping.follows > self.taken) {
            return None;
        }
        let is_enough = self.written - followed >= self.asking.many;
        if is_enough { Some(since) } else { since.checked_add(self.asking.after) }
    }

    /// A ping is being written, for whatever reason. Gives its number.
    pub fn ping(&mut self) -> u64 {
        let Pings::Answered { out, next } = &mut self.pings else { return 0 };
        let number = *next;
        *next += 1;
        if out.len() >= MOST_OUT {
            // The oldest one but one: how long the oldest has been out is what tells of a peer that answers none.
            out.remove(1);
        }
        out.push(Ping { number, follows: self.written, sent: None });
        self.waiting_since = None;
        number
    }

    /// A pong with this number has come. Gives how many messages are known to be taken by it.
    pub fn pong(&mut self, number: u64, now: Instant) -> u64 {
        let Pings::Answered { out, .. } = &mut self.pings else { return 0 };
        let Some(index) = out.iter().position(|ping| ping.number == number) else { return self.hear(now) };
        let follows = out[index].follows;
        out.drain(..=index);
        self.take(follows)
    }

    /// The peer has said something, or is at least known to be there. Gives how many messages count as taken by it: some,
    /// where it has just been found to answer no pings.
    pub fn hear(&mut self, now: Instant) -> u64 {
        let Pings::Answered { out, .. } = &self.pings else { return 0 };
        let since = out.first().and_then(|ping| ping.sent);
        if since.is_none_or(|since| now.saturating_duration_since(since) < self.limit) {
            return 0;
        }
        self.pings = Pings::Ignored;
        self.take(self.flushed)
    }

    /// The peer could not be heard for a while, and can be now: what it owes, it owes from now on.
    pub fn resume(&mut self, now: Instant) {
        if let Pings::Answered { out, .. } = &mut self.pings {
            out.iter_mut().filter_map(|ping| ping.sent.as_mut()).for_each(|sent| *sent = now);
        }
    }

    /// The peer has said that it has read everything. Gives how many messages are known to be taken by it.
    pub fn finish(&mut self) -> u64 {
        self.take(self.written)
    }

    /// Whether everything written is taken.
    pub fn is_settled(&self) -> bool {
        self.taken == self.written
    }

    fn take(&mut self, up_to: u64) -> u64 {
        let more = up_to.saturating_sub(self.taken);
        self.taken += more;
        more
    }
}
