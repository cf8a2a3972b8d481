//! The engine's warnings on their way to the server log.
//!
//! The engine thread writes them, the main thread reads them: `ereport` may only be called there. A subscriber set
//! for the engine thread alone (never globally: the process belongs to Postgres) formats events into a bounded
//! channel and rings the bell. Where the channel is full the line is dropped and counted; nothing waits for a log line.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::{DefaultGuard, Interest};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::outbox::Outbox;

/// How many lines may wait for the main thread.
const CAPACITY: usize = 1_000;

/// One line for the server log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// `WARN` or `ERROR`.
    pub level: Level,
    /// The module it comes from.
    pub target: String,
    /// The text.
    pub message: String,
}

/// The engine thread's end.
pub(super) struct LogWriter {
    lines: SyncSender<LogLine>,
    dropped: Arc<AtomicU64>,
    outbox: Arc<Outbox>,
}

/// The main thread's end.
pub(super) struct LogReader {
    lines: Receiver<LogLine>,
    dropped: Arc<AtomicU64>,
}

/// Collects the fields of an event into one text.
#[derive(Default)]
struct Text(String);

/// The two ends of the log.
pub(super) fn pump(outbox: Arc<Outbox>) -> (LogWriter, LogReader) {
    let (sender, lines) = sync_channel(CAPACITY);
    let dropped = Arc::new(AtomicU64::new(0));
    (LogWriter { lines: sender, dropped: Arc::clone(&dropped), outbox }, LogReader { lines, dropped })
}

/// Warnings of ours, errors of anyone.
fn wanted(event: &Metadata<'_>) -> bool {
    let ours = event.target().starts_with(env!("CARGO_CRATE_NAME"));
    *event.level() <= if ours { Level::WARN } else { Level::ERROR }
}

// === impl LogWriter ===

impl LogWriter {
    /// Takes the events of this thread until the guard is dropped.
    pub(super) fn listen(self) -> DefaultGuard {
        tracing::subscriber::set_default(tracing_subscriber::registry().with(self))
    }
}

impl<S: Subscriber> Layer<S> for LogWriter {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if wanted(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        wanted(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let (level, target) = (*event.metadata().level(), event.metadata().target().to_owned());
        if self.lines.try_send(LogLine { level, target, message: text.0 }).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        self.outbox.ring();
    }
}

// === impl LogReader ===

impl LogReader {
    pub(super) fn drain(&self, into: &mut Vec<LogLine>) -> u64 {
        into.extend(self.lines.try_iter());
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

// === impl Text ===

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let separator = if self.0.is_empty() { "" } else { ", " };
        // Writing to a String cannot fail.
        let _infallible = match field.name() {
            "message" => write!(self.0, "{separator}{value:?}"),
            name => write!(self.0, "{separator}{name} = {value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{CAPACITY, Outbox, pump};

    #[test]
    fn warnings_of_ours_come_through_and_chatter_does_not() {
        let (writer, reader) = pump(Arc::new(Outbox::new(1, Box::new(|| ()))));
        let guard = writer.listen();
        tracing::warn!(cause = "none", "something is odd");
        tracing::info!("all is well");
        tracing::warn!(target: "hyper", "not ours");
        tracing::error!(target: "hyper", "not ours but grave");
        drop(guard);
        let mut lines = Vec::new();
        assert_eq!(reader.drain(&mut lines), 0);
        let texts: Vec<_> = lines.into_iter().map(|line| line.message).collect();
        assert_eq!(texts, ["something is odd, cause = \"none\"", "not ours but grave"]);
    }

    #[test]
    fn lines_beyond_the_capacity_are_counted_and_not_kept() {
        let (writer, reader) = pump(Arc::new(Outbox::new(1, Box::new(|| ()))));
        let guard = writer.listen();
        for _ in 0..CAPACITY + 7 {
            tracing::warn!("again");
        }
        drop(guard);
        let mut lines = Vec::new();
        assert_eq!(reader.drain(&mut lines), 7);
        assert_eq!(lines.len(), CAPACITY);
    }
}
