//! End-to-end tests: a cluster of their own, real HTTP peers, and faults. `make test` builds the extension and runs them.
// A test that cannot go on says so by panicking: that is what fails it. What it prints is read by whoever ran it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

#[path = "../harness/mod.rs"]
mod harness;

mod calls;
mod commits;
mod crashes;
mod databases;
mod documentation;
mod failover;
mod faults;
mod invariants;
mod pg_net_defects;
mod reading;
mod retrying;
mod scene;
mod shutdown;
mod signals;
mod smoke;
mod waiting;
