//! The collector: the process that writes outcomes into `net._http_response`, the table of pg_edge_net.
//!
//! Runs on the main thread of its process. Users put triggers on that table, so it is not written by a dispatcher; and what
//! is stored there depends on no right of whoever made the request, so it is not written by a runner of his either.

use std::time::Duration;

use pgrx::prelude::*;

use crate::error::Error;
use crate::guc::Settings;
use crate::store::transaction::{Aborted, Durability, attempt, under_snapshot};
use crate::store::{collected, owner};
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
    loop {
        show(Activity::Busy, "storing responses");
        let settings = Settings::current();
        if let Err(aborted) = collect_all(settings.callback_timeout).and_then(|()| expire(&settings)) {
            return report::log(&format!("collector: {aborted}"));
        }
        flush_statistics(Activity::Idle);
        show(Activity::Idle, "storing responses");
        match wait_for_more() {
            Ok(true) => {}
            Ok(false) => return,
            Err(aborted) => return report::log(&format!("collector: {aborted}")),
        }
        reload_if_asked();
    }
}

/// Stores all there is. A batch that fails is tried again in halves, down to the one call that is at fault, which is passed over.
fn collect_all(timeout: Duration) -> Result<(), Aborted> {
    let (mut most, mut ceiling) = (BATCH, BATCH);
    loop {
        match limited(timeout, || collected::collect(most)) {
            Ok(0) => return Ok(()),
            Ok(_) => most = (most * 2).min(ceiling),
            Err(aborted) if most > 1 => {
                most /= 2;
                if aborted.is_cancel() {
                    // Triggers take so long that more would never be stored in time.
                    ceiling = most;
                }
            }
            Err(aborted) if aborted.is_transient() && !is_the_triggers(&aborted) => return Err(aborted),
            Err(aborted) => {
                let code = aborted.sqlstate_text();
                limited(timeout, || collected::pass_over(&code, &aborted.message))?;
            }
        }
        flush_statistics(Activity::Busy);
    }
}

/// Whether an error that passes by itself elsewhere is here a trigger's, with which it stays.
fn is_the_triggers(aborted: &Aborted) -> bool {
    use PgSqlErrorCode as Code;
    matches!(
        aborted.sqlstate,
        Code::ERRCODE_QUERY_CANCELED | Code::ERRCODE_UNDEFINED_TABLE | Code::ERRCODE_INVALID_SCHEMA_NAME
    )
}

/// Forgets what has been kept for long enough.
fn expire(settings: &Settings) -> Result<(), Aborted> {
    while limited(settings.callback_timeout, || collected::expire(settings.net_ttl))? {}
    Ok(())
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
fn wait_for_more() -> Result<bool, Aborted> {
    let began = std::time::Instant::now();
    Ok(latch::wait(PATIENCE)? == Woken::Up && began.elapsed() < PATIENCE)
}
