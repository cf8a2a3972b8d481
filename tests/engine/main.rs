//! The engine against peers that behave in every way a peer can, on loopback addresses only.
//!
//! The peers are scripted: a test writes the very bytes that go over the wire. No test sleeps to let something happen,
//! each waits until it has.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::disallowed_methods)]

mod answers;
mod child;
mod connections;
mod failures;
mod lifecycle;
mod limits;
mod peer;
mod sender;
mod signals;
mod tls;
