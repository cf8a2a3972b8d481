//! Websockets. Each has a task to itself, which opens it, keeps it, and says how it ended. Everything here runs on the
//! engine thread.
//!
//! | file | idea |
//! |---|---|
//! | `register` | which websockets there are |
//! | `task` | one websocket, from its plan to its end |
//! | `opening` | the handshake |
//! | `keeper` | an open one: the loop of it |
//! | `writing`, `reading`, `timing` | what the loop does |
//! | `line`, `ear` | the library's end of a connection, in bounds |
//! | `mailbox` | what the main thread wants of one |
//! | `teller` | what the main thread is told of one |
//! | `fault` | what an error means |

mod ear;
mod fault;
mod keeper;
mod line;
mod mailbox;
mod opening;
mod reading;
mod register;
mod task;
mod teller;
mod timing;
mod writing;

pub(super) use self::register::Sockets;
