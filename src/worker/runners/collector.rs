//! The collector: the process that writes outcomes into `net._http_response`, the table of pg_edge_net.
//!
//! Runs on the main thread of its process. Users put triggers on that table, so it is not written by a dispatcher; and what
//! is stored there depends on no right of whoever made the request, so it is not written by a runner of his either.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use pgrx::prelude::*;

use crate::error::Error;
use crate::guc::Settings;
use crate::store::collected::{self, Collected, Which};
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

/// Outcomes that are stored in one transaction.
const BATCH: i32 = 1000;

/// How often a trigger may fail for a reason that may pass, before its response is passed over.
const TRIES: u32 = 5;

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
    let mut tries = HashMap::new();
    loop {
        show(Activity::Busy, "storing responses");
        let settings = Settings::current();
        let pass = match collect_all(settings.callback_timeout, &mut tries) {
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

/// What a pass over all that is to be stored has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    /// All is stored, or passed over.
    Whole,
    /// Something was in the way of some.
    Partial,
}

/// How one storing failed.
enum Failed {
    /// Somebody holds a lock on the tables. Nothing is wrong with what is to be stored.
    Locked,
    Storing(Aborted),
}

/// Stores all there is. A batch that fails is tried again in halves, down to one call. Where that is at fault it is passed over;
/// where what is in the way may pass, it is left for another pass, and not for ever.
fn collect_all(timeout: Duration, tries: &mut HashMap<i64, u32>) -> Result<Pass, Aborted> {
    let (mut most, mut ceiling) = (BATCH, BATCH);
    let mut left: Vec<i64> = Vec::new();
    loop {
        let which = match most {
            1 => match limited(timeout, || collected::next(&left))? {
                Some(call) => Which::One(call),
                None => return Ok(if left.is_empty() { Pass::Whole } else { Pass::Partial }),
            },
            most => Which::AtMost(most),
        };
        match (store(timeout, which, &left), which) {
            (Ok(Collected { stored: 0, busy }), Which::AtMost(_)) if busy.is_empty() => {
                return Ok(if left.is_empty() { Pass::Whole } else { Pass::Partial });
            }
            (Ok(Collected { busy, .. }), _) => {
                left.extend(busy);
                most = (most * 2).min(ceiling);
            }
            (Err(Failed::Locked), _) => return Ok(Pass::Partial),
            (Err(Failed::Storing(aborted)), Which::AtMost(_)) => {
                most /= 2;
                if aborted.is_cancel() {
                    // Triggers take so long that more would never be stored in time.
                    ceiling = most;
                }
            }
            (Err(Failed::Storing(aborted)), Which::One(call)) => {
                let tried = tries.entry(call).or_default();
                *tried += 1;
                if aborted.is_transient() && !is_the_triggers(&aborted) && *tried < TRIES {
                    left.push(call);
                } else {
                    tries.remove(&call);
                    limited(timeout, || collected::pass_over(call, &aborted.sqlstate_text(), &aborted.message))?;
                }
            }
        }
        flush_statistics(Activity::Busy);
    }
}

/// Stores some outcomes. What is waited for before the tables are locked is nobody's fault whose outcome it is.
fn store(timeout: Duration, which: Which, but: &[i64]) -> Result<Collected, Failed> {
    let mut is_locked = false;
    let stored = limited(
        timeout,
        AssertUnwindSafe(|| {
            collected::lock()?;
            is_locked = true;
            collected::collect(which, but)
        }),
    );
    stored.map_err(|aborted| if is_locked { Failed::Storing(aborted) } else { Failed::Locked })
}

/// Whether an error that passes by itself elsewhere is here a trigger's, with which it stays.
fn is_the_triggers(aborted: &Aborted) -> bool {
    use PgSqlErrorCode as Code;
    matches!(
        aborted.sqlstate,
        Code::ERRCODE_QUERY_CANCELED | Code::ERRCODE_UNDEFINED_TABLE | Code::ERRCODE_INVALID_SCHEMA_NAME
    )
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
fn limited<R>(timeout: Duration, statement: impl FnOnce() -> Result<R, Error>) -> Result<R, Aborted> {
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
