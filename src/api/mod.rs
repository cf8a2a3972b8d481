//! The SQL functions: check, convert, call the store. No logic of their own.
//!
//! Runs in users' sessions. Every function here first notes who asks; only then does the store step up.

#![allow(clippy::result_large_err, reason = "pgrx' report is large, and made only when something has failed")]

mod arguments;
mod batch;
mod call;
mod control;
mod endpoint_arguments;
mod endpoints;
mod follow;
mod handler;
mod http;
mod invoke;
mod jobs;
mod net;
mod outcome;
mod request;
mod retry_policy;
mod row;
mod schedules;
mod secrets;
mod sockets;
mod stats;
mod streams;
pub mod views;
mod watch;
mod webhook;
