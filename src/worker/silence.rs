//! Telling the log when sessions that listen to streams are told no more.
//!
//! Runs on the main thread of a dispatcher.

use std::cell::Cell;

use super::report;
use crate::store::notify::Told;

thread_local! {
    /// Whether it was said that nobody is told of events.
    static IS_SILENT: Cell<bool> = const { Cell::new(false) };
}

/// Says it once when sessions that listen are told no more.
pub fn note(told: Told) {
    if IS_SILENT.replace(told == Told::Nobody) || told == Told::All {
        return;
    }
    report::warn(
        "the server's queue of notifications is half full, so nobody is told of streamed events until it is emptier; a \
         session that has listened and stays in a transaction keeps it from being emptied",
    );
}
