//! Websockets: wished for by sessions, kept by the dispatcher.

pub mod handling;
pub mod landing;
pub mod outcomes;
pub mod queue;
pub mod standing;
pub mod states;
pub mod sweep;
pub mod unsent;
pub mod wanted;
