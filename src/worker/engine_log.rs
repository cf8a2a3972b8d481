//! The engine's warnings, on their way into the server log.
//!
//! Runs on the main thread of a dispatcher: only it may call `ereport`.

use super::report;
use crate::engine::Engine;

/// Writes what the engine had to say.
pub fn pump(engine: &Engine) {
    let mut lines = Vec::new();
    let dropped = engine.drain_log(&mut lines);
    for line in lines {
        report::log(&format!("engine: {} ({})", line.message, line.target));
    }
    if dropped > 0 {
        report::log(&format!("engine: {dropped} more lines were dropped"));
    }
}
