//! Websockets: what is said over them, how one is opened, how it ended, and what follows from that.

pub mod address;
pub mod backoff;
pub mod course;
pub mod end;
pub mod message;
pub mod outgoing;
pub mod plan;
pub mod verdict;
pub mod wish;
