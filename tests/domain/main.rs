//! The decisions, by table and by property: no Postgres, no network, no clock; milliseconds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod backlog;
mod breaker;
mod callback;
mod cursor;
mod endpoint;
mod guard;
mod header;
mod lane;
mod network;
mod placeholder;
mod redact;
mod redirect;
mod request;
mod retry;
mod retry_policy;
mod seal;
mod signature;
mod stream;
mod stream_cutting;
mod stream_dialects;
mod text;
