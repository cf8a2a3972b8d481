//! The background workers: the only callers of both the store and the engine.
//!
//! A launcher, one for the cluster, keeps a dispatcher running in every database that has the extension. A
//! dispatcher sends that database's calls. Started by dispatchers, runners run users' callbacks, and a process each runs the
//! commands of schedules.

mod activity;
mod attempting;
mod batches;
mod cancel;
pub mod client;
mod commands;
mod credentials;
mod dispatcher;
mod endpoints;
mod engine_log;
mod finish;
mod house;
mod identity;
mod interrupted;
mod interrupts;
mod jobs;
mod landing;
pub mod last_errors;
pub mod latch;
mod launcher;
mod ledger;
mod library;
pub mod lock;
mod look;
mod outbox;
pub mod queued;
mod report;
mod reports;
mod rescue;
#[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
mod role_settings;
mod runners;
mod schedules;
mod secrets;
mod send;
pub mod server_zone;
mod session;
mod settle;
pub mod shared;
mod signals;
mod silence;
mod sockets;
mod standings;
pub mod stats;
mod step_aside;
mod streams;
mod takeover;
mod trace;
mod turn;
mod usage;
pub mod waiters;
pub mod wake;
mod waking;
mod written;

use crate::failpoint;

/// Called from `_PG_init` while the server starts.
pub fn register() {
    shared::register();
    server_zone::register();
    stats::register();
    last_errors::register();
    queued::quota::register();
    step_aside::register();
    launcher::register();
}
