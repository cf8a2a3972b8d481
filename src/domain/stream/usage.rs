//! The tokens that a stream says it used.

use std::io;

use serde_json::{Map, Value};

/// No vendor counts more things, nor in more bytes. What is larger is no count of tokens, whatever it is called: it would be
/// held and stored beside all limits of the stream.
const MOST_COUNTS: usize = 64;
const MOST_BYTES: usize = 4 * 1024;

/// Counts by name, as the vendor names them.
#[derive(Debug, Default)]
pub struct Usage(Map<String, Value>);

/// JSON that is written only as far as it is short.
struct Short(Vec<u8>);

impl Usage {
    /// Takes later counts in place of earlier ones of the same name, and others beside them. Without effect where there would
    /// be too many, or such as Postgres cannot store.
    pub fn add(&mut self, counts: Map<String, Value>) {
        if counts.len() > MOST_COUNTS {
            return;
        }
        let mut all = self.0.clone();
        all.extend(counts);
        if all.len() <= MOST_COUNTS && can_be_stored(&all) {
            self.0 = all;
        }
    }

    /// The counts, where there are any.
    pub fn counts(&self) -> Option<&Map<String, Value>> {
        (!self.0.is_empty()).then_some(&self.0)
    }
}

fn can_be_stored(counts: &Map<String, Value>) -> bool {
    let mut short = Short(Vec::new());
    // Postgres' jsonb holds no U+0000, which is written as an escape.
    serde_json::to_writer(&mut short, counts).is_ok() && memchr::memmem::find(&short.0, b"\\u0000").is_none()
}

impl io::Write for Short {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MOST_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
