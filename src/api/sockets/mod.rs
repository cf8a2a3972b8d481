//! Websockets as sessions see them: `edge.ws_open`, `edge.ws_reopen`, `edge.ws_send` and `edge.ws_close`.
//!
//! All that can be known to be wrong is an error here, in the caller's transaction. Nothing is done before its commit.

mod close;
mod open;
mod reopen;
mod room;
mod send;
