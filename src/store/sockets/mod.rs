//! Websockets: wished for by sessions, kept by the dispatcher.

pub mod queue;
pub mod wanted;
