//! The engine against peers that behave in every way a peer can, on loopback addresses only.
//!
//! The peers are scripted: a test writes the very bytes that go over the wire. No test sleeps to let something happen,
//! each waits until it has.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::disallowed_methods)]

mod answers;
mod child;
mod client_certificates;
mod connections;
mod failures;
mod guard;
mod lifecycle;
mod limits;
mod listener;
mod names;
mod peer;
mod redirects;
mod sender;
mod signals;
mod socket_ends;
mod socket_flow;
mod socket_handshakes;
mod socket_peer;
mod socket_routes;
mod socket_side;
mod socket_taken;
mod socket_violations;
mod sockets;
mod stream_ends;
mod stream_flow;
mod stream_haste;
mod stream_http2;
mod streams;
mod tls;
mod tls_peer;
