//! What the words mean, and every decision that can be made without doing anything.
//!
//! Nothing here knows Postgres, tokio, a clock or a random source: time and randomness are arguments.
//! That is what lets the hard parts be tested by tables and by property in milliseconds.

pub mod attempt;
pub mod backlog;
pub mod batch;
pub mod bearing;
pub mod breaker;
pub mod call;
pub mod callback;
pub mod complaint;
pub mod cursor;
pub mod endpoint;
mod failure_class;
pub mod fault;
pub mod guard;
pub mod header;
pub mod interruption;
pub mod job;
mod lane;
pub mod lane_policy;
pub mod moment;
pub mod month;
pub mod net;
pub mod network;
pub mod outcome;
pub mod pairs;
pub mod placeholder;
pub mod profile;
pub mod quota;
pub mod rate;
pub mod redact;
pub mod redirect;
pub mod refusals;
pub mod request;
pub mod retry;
pub mod retry_conditions;
pub mod retry_policy;
pub mod room;
pub mod schedule;
pub mod seal;
pub mod signature;
pub mod socket;
pub mod stream;
pub mod tally;
pub mod text;
pub mod usage;
pub mod webhook;
pub mod weighed;
