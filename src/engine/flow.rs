//! How far streams and websockets may run ahead of the main thread. Events and messages are counted in on the engine
//! thread, and out on whichever thread drops the receipt of their piece: the main thread, once it has committed them.
//!
//! A stream that is too far ahead is not read. The peer's own buffers fill, then it stands still; nothing is dropped and
//! no memory is taken. It goes on once a quarter of what it may hold is free again, so that it does not stop at every chunk.
//! All streams together have a limit as well, and all websockets another one. A stream at a limit has something on its way to the main thread, so it is
//! always freed again as long as that thread works.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::outcome::Failure;
use crate::domain::stream::StreamEvent;
use crate::domain::stream::follower::Follower;

/// What one stream may have on its way, in bytes. The main thread gives back what it has written at the end of a
/// transaction, some 2 MB at a time from a fast peer: so there is enough to read on with meanwhile, and to write next.
pub(super) const OF_A_STREAM: usize = 8 << 20;

/// What one websocket may have on its way, in bytes. There may be many more of them.
pub(super) const OF_A_SOCKET: usize = 1 << 20;

/// What all of a kind may have on their way together, in bytes.
const OF_ALL: usize = 64 << 20;

/// Something that fills up and is emptied again.
pub(super) struct Room {
    most: usize,
    /// With less than this taken, whoever had to wait goes on.
    enough: usize,
    taken: AtomicUsize,
    freed: Notify,
}

/// One stream or websocket, as those see it who are not reading it.
pub(super) struct Flow {
    own: Room,
    all: Arc<Room>,
    events: AtomicU64,
    /// Here and not with the reader, so that what the stream has told is known when its reader is gone. Never contended: whoever
    /// takes it is on the engine thread.
    follower: Mutex<Follower>,
}

/// Stands for the memory of a piece. While it lives, its stream counts the piece as not stored; whoever drops it lets the
/// stream run on.
#[must_use = "dropping a receipt says that its piece has been stored"]
pub struct Receipt {
    flow: Arc<Flow>,
    bytes: usize,
}

// === impl Room ===

impl Room {
    /// For all streams of an engine, or for all its websockets.
    pub(super) fn of_all() -> Arc<Self> {
        Arc::new(Self::new(OF_ALL))
    }

    fn new(most: usize) -> Self {
        Self { most, enough: most / 4 * 3, taken: AtomicUsize::new(0), freed: Notify::new() }
    }

    fn is_full(&self) -> bool {
        self.taken.load(Ordering::Acquire) >= self.most
    }

    fn take(&self, bytes: usize) {
        self.taken.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Whoever waits is woken by the one that makes enough room, and looked at it before that: see [`Room::wait`].
    fn free(&self, bytes: usize) {
        let before = self.taken.fetch_sub(bytes, Ordering::AcqRel);
        if before >= self.enough && before - bytes < self.enough {
            self.freed.notify_waiters();
        }
    }

    /// Waits until a room that was full has enough room again.
    async fn wait(&self) {
        loop {
            // Made before the look, so that it hears of whatever is freed after it.
            let freed = self.freed.notified();
            if self.taken.load(Ordering::Acquire) < self.enough {
                return;
            }
            freed.await;
        }
    }
}

// === impl Flow ===

impl Flow {
    /// For one that may have so many bytes on its way.
    pub(super) fn new(most: usize, all: Arc<Room>) -> Arc<Self> {
        Arc::new(Self { own: Room::new(most), all, events: AtomicU64::new(0), follower: Mutex::default() })
    }

    /// How many events have been handed over.
    pub(super) fn events(&self) -> u64 {
        self.events.load(Ordering::Acquire)
    }

    /// What the stream means, as far as it has come.
    pub(super) fn follower(&self) -> MutexGuard<'_, Follower> {
        self.follower.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A failure of this stream, which is after all that was handed over.
    pub(super) fn end(&self, failure: Failure) -> Failure {
        failure.after_events(self.events(), self.follower().account())
    }

    /// Whether the stream has to wait before it is read on.
    pub(super) fn is_full(&self) -> bool {
        self.own.is_full() || self.all.is_full()
    }

    /// Waits until a stream that had to wait may be read on.
    pub(super) async fn until_free(&self) {
        while self.is_full() {
            if self.own.is_full() {
                self.own.wait().await;
            } else {
                self.all.wait().await;
            }
        }
    }

    /// Counts events that are handed over.
    pub(super) fn count(&self, events: &[StreamEvent]) {
        // A slice in memory is shorter than what 64 bits can count.
        self.events.fetch_add(events.len() as u64, Ordering::AcqRel);
    }
}

/// What events take in memory.
pub(super) fn weight(events: &[StreamEvent]) -> usize {
    events.iter().map(StreamEvent::held_bytes).sum()
}

// === impl Receipt ===

impl Receipt {
    /// For a piece that holds nothing yet.
    pub(super) fn of(flow: &Arc<Flow>) -> Self {
        Self { flow: Arc::clone(flow), bytes: 0 }
    }

    /// The piece has grown.
    pub(super) fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.flow.own.take(bytes);
        self.flow.all.take(bytes);
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.flow.own.free(self.bytes);
        self.flow.all.free(self.bytes);
    }
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Receipt({} bytes)", self.bytes)
    }
}
