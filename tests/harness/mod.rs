//! What end-to-end tests and benchmarks stand on: a Postgres of their own, HTTP peers that do as they are told,
//! and waiting that ends in a sentence. Nothing here knows what `pg_edge` does; it only loads it.
// Each test binary and benchmark includes this tree and uses a part of it.
#![allow(dead_code, unused_imports)]

pub mod builder;
pub mod clock;
pub mod cluster;
pub mod extension;
pub mod fast_peer;
pub mod peer;
pub mod process;
pub mod programs;
pub mod run_dir;
pub mod session;
pub mod standby;
pub mod template;
pub mod tls_peer;
pub mod upgrade;
pub mod wait;
pub mod ws_peer;

pub use builder::ClusterBuilder;
pub use clock::Clock;
pub use cluster::{Cluster, Stop};
pub use fast_peer::FastPeer;
pub use peer::{Gate, Peer, Reply, Request};
pub use session::{Db, SqlError};
pub use wait::{eventually, within};
pub use ws_peer::WsPeer;
