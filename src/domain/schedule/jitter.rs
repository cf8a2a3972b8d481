//! How much later than its slot a run starts: as good as random, but the same each time it is asked.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::domain::moment::Moment;

/// From nothing to `most`, both included, and always less than `until_next`: no run starts after the next slot.
pub fn jitter(seed: i64, slot: Moment, most: Duration, until_next: Duration) -> Duration {
    let most = micros(most).min(micros(until_next).saturating_sub(1));
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update(slot.micros().to_be_bytes());
    let random = hash.finalize().iter().take(8).fold(0, |bits, byte| bits << 8 | u128::from(*byte));
    // The upper half of the product: as evenly spread as the hash.
    let scaled = (random * (u128::from(most) + 1)) >> 64;
    Duration::from_micros(u64::try_from(scaled).unwrap_or(most))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
