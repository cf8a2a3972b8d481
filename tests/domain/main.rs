//! The decisions, by table and by property: no Postgres, no network, no clock; milliseconds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod backlog;
mod breaker;
mod callback;
mod command;
mod cursor;
mod endpoint;
mod guard;
mod header;
mod lane;
mod network;
mod pg_cron;
mod placeholder;
mod planning;
mod redact;
mod redirect;
mod request;
mod retry;
mod retry_policy;
mod room;
mod schedule_catch_up;
mod schedule_clock;
mod schedule_croner;
mod schedule_decision;
mod schedule_english;
mod schedule_grammar;
mod schedule_once;
mod schedule_overlap;
mod schedule_properties;
mod schedule_steady_clock;
mod seal;
mod signature;
mod stream;
mod stream_dialects;
mod text;
mod zones;
