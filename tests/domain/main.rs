//! The decisions, by table and by property: no Postgres, no network, no clock; milliseconds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod backlog;
mod callback;
mod cursor;
mod header;
mod redact;
mod request;
mod retry;
mod text;
