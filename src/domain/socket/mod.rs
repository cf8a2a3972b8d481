//! Websockets: what is said over them, how one is opened, how it ended, and what follows from that.

pub mod address;
pub mod end;
pub mod message;
pub mod plan;
pub mod wish;
