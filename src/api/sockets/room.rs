//! How many more messages may be queued for a websocket.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::guc::Settings;
use crate::store::sockets::queue;

/// For how long a count is good enough. Meanwhile the session adds its own messages to it, and does not see those of others.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// How many a session remembers. One that sends over more websockets than that counts more often.
const REMEMBERED: usize = 256;

/// How many messages wait, at most.
#[derive(Clone, Copy)]
struct Count {
    at: Instant,
    queued: i64,
}

thread_local! {
    static COUNTS: RefCell<HashMap<i64, Count>> = RefCell::default();
}

/// Takes room for one message, or refuses it where there is none. Runs as the tables' owner.
pub fn take(connection: i64, name: &str) -> Result<(), Error> {
    let limit = Settings::ws_max_queued();
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let known = COUNTS.with_borrow(|counts| counts.get(&connection).copied());
    // What was rolled back has been added as well, so nothing is refused by a count from before.
    let count = match known.filter(|count| count.at.elapsed() < GOOD_FOR && count.queued < most) {
        Some(count) => count,
        None => Count { at: Instant::now(), queued: queue::queued(connection, most)? },
    };
    if count.queued >= most {
        return Err(Error::SocketFull { name: name.to_owned(), limit });
    }
    COUNTS.with_borrow_mut(|counts| {
        if counts.len() >= REMEMBERED {
            counts.clear();
        }
        counts.insert(connection, Count { queued: count.queued + 1, ..count });
    });
    Ok(())
}
