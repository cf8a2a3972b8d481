//! The last error of each endpoint, in shared memory beside its numbers.
//!
//! Sentences of pg_edge hold no URL, header or body, so whoever may see how an endpoint is doing may read them.

use pgrx::lwlock::PgLwLock;
use pgrx::prelude::*;
use pgrx::{PGRXSharedMemory, pg_shmem_init};
use std::sync::atomic::Ordering;

use super::standings::News;
use super::stats::{self, ROWS};
use crate::domain::refusals::Key;

/// The longest sentence that is kept whole.
const LONGEST: usize = 240;

/// A sentence.
#[derive(Clone, Copy)]
struct Text {
    length: usize,
    bytes: [u8; LONGEST],
}

/// The sentences of all rows of [`stats`].
#[derive(Clone, Copy)]
struct Texts {
    rows: [Text; ROWS],
}

// SAFETY: plain bytes, guarded by a lock.
#[allow(unsafe_code, reason = "shared memory is declared to pgrx here")]
unsafe impl PGRXSharedMemory for Texts {}

// SAFETY: the name is ours alone.
#[allow(unsafe_code, reason = "shared memory is declared to pgrx here")]
static TEXTS: PgLwLock<Texts> = unsafe { PgLwLock::new(c"pg_edge last errors") };

/// Asks Postgres for the memory while the server starts.
pub fn register() {
    pg_shmem_init!(TEXTS = Texts { rows: [Text { length: 0, bytes: [0; LONGEST] }; ROWS] });
}

/// Notes what is new of an endpoint, if it has a row.
pub fn note(database: pg_sys::Oid, name: &str, news: &News) {
    stats::with_row(database, name, |index, row| {
        if let Some((sentence, at)) = &news.error {
            TEXTS.exclusive().rows[index] = Text::of(sentence);
            row.error_at.store(stats::micros(*at), Ordering::Relaxed);
        }
        match news.key {
            Some(Key::RefusedSince(since)) => row.refused_since.store(stats::micros(since), Ordering::Relaxed),
            Some(Key::Taken) => row.refused_since.store(0, Ordering::Relaxed),
            None => {}
        }
    });
}

/// The last error of a row.
pub fn read(index: usize) -> String {
    TEXTS.share().rows.get(index).map(Text::read).unwrap_or_default()
}

impl Text {
    fn of(sentence: &str) -> Self {
        let end = stats::cut(sentence, LONGEST);
        let mut bytes = [0; LONGEST];
        bytes[..end].copy_from_slice(&sentence.as_bytes()[..end]);
        Self { length: end, bytes }
    }

    fn read(&self) -> String {
        String::from_utf8_lossy(&self.bytes[..self.length.min(LONGEST)]).into_owned()
    }
}
