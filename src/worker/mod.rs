//! The background workers: the only callers of both the store and the engine.
//!
//! A launcher, one for the cluster, keeps a dispatcher running in every database that has the extension. A
//! dispatcher sends that database's calls. Started by dispatchers, runners run users' callbacks, and a process each runs the
//! commands of schedules.

mod activity;
mod cancel;
pub mod client;
mod command;
mod command_process;
mod commands;
mod counting;
mod credentials;
mod dispatcher;
mod endpoints;
mod engine_log;
mod execute;
mod failpoint;
mod house;
mod identity;
mod interrupted;
mod interrupts;
pub mod latch;
mod launcher;
mod ledger;
mod library;
mod living;
mod lock;
mod look;
mod outbox;
mod parsed;
pub mod queued;
pub mod quota;
mod report;
mod runner;
mod runners;
mod schedule_begin;
mod schedule_turn;
mod schedule_verdict;
mod schedules;
mod secrets;
mod send;
pub mod server_zone;
mod session;
mod settle;
pub mod shared;
mod signals;
pub mod stats;
mod step_aside;
mod streams;
mod takeover;
mod turn;
pub mod waiters;
pub mod wake;

/// Called from `_PG_init` while the server starts.
pub fn register() {
    shared::register();
    server_zone::register();
    stats::register();
    quota::register();
    step_aside::register();
    launcher::register();
}
