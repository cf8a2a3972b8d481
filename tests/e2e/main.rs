//! End-to-end tests: a cluster of their own, real HTTP peers, and faults. `make test` builds the extension and runs them.
// A test that cannot go on says so by panicking: that is what fails it. What it prints is read by whoever ran it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

#[path = "../harness/mod.rs"]
mod harness;

mod attacks;
mod bad_input;
mod bad_peers;
mod batches;
mod callbacks;
mod calls;
mod commands;
mod commits;
mod contract;
mod crashes;
mod databases;
mod documentation;
mod endpoints;
mod failover;
mod faults;
mod guard;
mod health;
mod idempotency;
mod identity;
mod invariants;
mod jobs;
mod limits;
mod net;
mod pg_cron;
mod pg_net_defects;
mod platforms;
mod privileges;
mod psql;
mod quickstart;
mod quotas;
mod reading;
mod replaying;
mod retention;
mod retrying;
mod scene;
mod schedule_engine;
mod schedule_zones;
mod schedules_sql;
mod secrets;
mod secrets_leak;
mod shutdown;
mod signals;
mod signatures;
mod smoke;
mod socket_engine;
mod sockets;
mod sockets_sql;
mod steering;
mod streams;
mod streams_deno;
mod streams_reading;
mod tls;
mod waiting;
mod webhooks;
