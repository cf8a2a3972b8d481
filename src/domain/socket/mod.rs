//! Websockets: what is said over them, how one is wished for, opened, kept and acknowledged, how it ended, and what follows.

pub mod acknowledgement;
pub mod address;
pub mod backoff;
pub mod close_code;
pub mod course;
pub mod end;
pub mod handshake;
pub mod keep_alive;
pub mod message;
pub mod outgoing;
pub mod plan;
pub mod verdict;
pub mod wish;
