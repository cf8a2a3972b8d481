//! The collector: the process that writes outcomes into `net._http_response`, the table of pg_edge_net.
//!
//! Runs on the main thread of its process. Users put triggers on that table, so it is not written by a dispatcher; and what
//! is stored there depends on no right of whoever made the request, so it is not written by a runner of his either.

use std::time::Duration;

use pgrx::prelude::*;

use super::storing::{Pass, Storing};
use crate::error::Error;
use crate::guc::Settings;
use crate::store::collected;
use crate::store::owner;
use crate::store::transaction::{Aborted, Durability, attempt, under_snapshot};
use crate::worker::activity::{Activity, flush_statistics, show};
use crate::worker::identity::{Login, become_role, set};
use crate::worker::interrupts::{limit_time, unlimit_time};
use crate::worker::latch::{self, Woken};
use crate::worker::report;
use crate::worker::signals::reload_if_asked;

/// After this long it is ended, and another one begins.
pub const SHIFT: Duration = Duration::from_secs(24 * 60 * 60);

/// How soon what something was in the way of is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// How long it waits for more.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves until nothing has come for a while.
pub fn run(database: pg_sys::Oid) {
    // As the first superuser, and in each transaction as the owner of the tables.
    if let Err(aborted) = become_role(database, pg_sys::InvalidOid, Login::Allowed) {
        return report::log(&format!("collector cannot begin: {aborted}"));
    }
    set(c"default_transaction_read_only", c"off");
    set(c"default_transaction_isolation", c"read committed");
    let mut storing = Storing::new();
    if let Err(aborted) = limited(Settings::current().callback_timeout, collected::suspect_what_was_left) {
        return report::log(&format!("collector: {aborted}"));
    }
    loop {
        show(Activity::Busy, "storing responses");
        let settings = Settings::current();
        storing.follow(&settings);
        let pass = match storing.pass() {
            Ok(pass) => pass,
            Err(aborted) => return report::log(&format!("collector: {aborted}")),
        };
        expire(&settings);
        flush_statistics(Activity::Idle);
        show(Activity::Idle, "storing responses");
        match wait_for_more(pass) {
            Ok(true) => {}
            Ok(false) => return,
            Err(aborted) => return report::log(&format!("collector: {aborted}")),
        }
        reload_if_asked();
    }
}

/// Forgets what has been kept for long enough. A trigger that does not let it costs a line in the log, and nothing else.
fn expire(settings: &Settings) {
    loop {
        match limited(settings.callback_timeout, || collected::expire(settings.net_ttl)) {
            Ok(true) => {}
            Ok(false) => return,
            Err(aborted) => return report::log(&format!("collector cannot forget old responses: {aborted}")),
        }
    }
}

/// Runs a statement in a transaction of its own, its deferred triggers included, for no longer than a callback may take.
pub(super) fn limited<R>(timeout: Duration, statement: impl FnOnce() -> Result<R, Error>) -> Result<R, Aborted> {
    limit_time(timeout);
    let done = attempt(|| {
        owner::step_down()?;
        Ok((under_snapshot(statement)?, Durability::Full))
    });
    unlimit_time();
    done
}

/// Whether there may be more, before the time is up.
fn wait_for_more(pass: Pass) -> Result<bool, Aborted> {
    if pass == Pass::Partial {
        latch::wait(PAUSE)?;
        return Ok(true);
    }
    let began = std::time::Instant::now();
    Ok(latch::wait(PATIENCE)? == Woken::Up && began.elapsed() < PATIENCE)
}
