//! The dispatcher's session: its settings, and whether it may begin at all.
//!
//! Runs on the main thread of a dispatcher.

#![allow(unsafe_code, reason = "pgrx has no wrapper for setting a GUC")]

use std::ffi::CStr;

use pgrx::prelude::*;

use super::lock::{self, Hold};
use crate::engine;
use crate::guc::{self, Settings};
use crate::store::transaction::{Aborted, Durability, attempt};

/// What a database's or role's own settings must not change for the dispatcher.
const FIXED: [(&CStr, &CStr); 13] = [
    // ALTER DATABASE … SET role would have it begin as somebody else.
    (c"role", c"none"),
    // Nobody has the right to put a trigger on our tables. Should a careless GRANT have given it away, none fires here,
    // where it would run as a superuser.
    (c"session_replication_role", c"replica"),
    (c"exit_on_error", c"off"),
    // Nothing a user made may be found by a name of ours.
    (c"search_path", c"pg_catalog, pg_temp"),
    (c"default_transaction_isolation", c"read committed"),
    (c"default_transaction_read_only", c"off"),
    // A lock that somebody holds costs a turn, never the dispatcher.
    (c"lock_timeout", c"2s"),
    // Waiting for a standby that is gone would stop all calls, and could not be ended by stopping the server. What a
    // fail-over loses by this is sent again.
    (c"synchronous_commit", c"local"),
    (c"jit", c"off"),
    // The tables are read by key only, and their statistics are always behind.
    (c"enable_seqscan", c"off"),
    (c"enable_bitmapscan", c"off"),
    (c"plan_cache_mode", c"force_generic_plan"),
    (c"application_name", c"pg_edge dispatcher"),
];

/// Whether a dispatcher may begin.
pub enum Begin {
    Yes,
    NoExtension,
    AnotherRuns,
}

/// Fixes the session's settings.
pub fn prepare() {
    for (name, value) in FIXED {
        // SAFETY: main thread, connected, outside a transaction; the strings live for ever.
        unsafe {
            pg_sys::SetConfigOption(
                name.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_SUSET,
                pg_sys::GucSource::PGC_S_SESSION,
            );
        }
    }
}

/// Looks for the extension and takes the lock of the one dispatcher.
pub fn may_begin() -> Result<Begin, Aborted> {
    attempt(|| {
        let begin = match lock::hold_extension() {
            Hold::Gone => Begin::NoExtension,
            Hold::Held(_) | Hold::BeingChanged if lock::become_the_dispatcher() => Begin::Yes,
            Hold::Held(_) | Hold::BeingChanged => Begin::AnotherRuns,
        };
        Ok((begin, Durability::Full))
    })
}

/// What the engine has to know of the settings.
pub fn engine_settings(settings: &Settings) -> engine::Settings {
    engine::Settings {
        idle_connection_timeout: std::time::Duration::from_secs(30),
        max_idle_per_host: settings.max_concurrency,
        user_agent: concat!("pg_edge/", env!("CARGO_PKG_VERSION")).to_owned(),
        max_in_flight: settings.max_in_flight,
        guard: guc::guard(),
        tls: guc::tls(),
    }
}
