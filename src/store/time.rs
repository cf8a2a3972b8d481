//! Rust's clock and Postgres' timestamps.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use crate::domain::moment::Moment;

/// 2000-01-01 in microseconds since 1970-01-01.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// A moment as Postgres keeps it.
pub fn to_timestamp(at: SystemTime) -> TimestampWithTimeZone {
    let since_1970 = match at.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
    };
    let since_2000 = since_1970.saturating_sub(POSTGRES_EPOCH);
    // Beyond what Postgres can hold lies only what is as good as for ever.
    TimestampWithTimeZone::try_from(since_2000).unwrap_or_else(|_| TimestampWithTimeZone::positive_infinity())
}

/// A moment of Postgres' as Rust keeps it. Infinity becomes a moment that no process will live to see.
pub fn from_timestamp(at: TimestampWithTimeZone) -> SystemTime {
    let since_2000: i64 = at.into_inner();
    let since_1970 = since_2000.saturating_add(POSTGRES_EPOCH).clamp(0, i64::MAX / 2);
    UNIX_EPOCH + Duration::from_micros(since_1970.unsigned_abs())
}

/// A moment as the domain reckons with it. Infinity is the first or the last one.
pub fn to_moment(at: TimestampWithTimeZone) -> Moment {
    let since_2000: i64 = at.into_inner();
    Moment::from_micros(since_2000.saturating_add(POSTGRES_EPOCH))
}

/// What the clock shows, which is not when the transaction began.
#[allow(unsafe_code, reason = "pgrx' own goes through a call of an SQL function")]
pub fn now() -> Moment {
    // SAFETY: reads the clock.
    let since_2000 = unsafe { pg_sys::GetCurrentTimestamp() };
    Moment::from_micros(since_2000.saturating_add(POSTGRES_EPOCH))
}

/// A moment of the domain's as Postgres keeps it.
pub fn of_moment(at: Moment) -> TimestampWithTimeZone {
    let since_2000 = at.micros().saturating_sub(POSTGRES_EPOCH);
    TimestampWithTimeZone::try_from(since_2000).unwrap_or_else(|_| TimestampWithTimeZone::positive_infinity())
}

/// A duration in whole microseconds, as the tables keep timings.
pub fn micros(duration: Duration) -> i32 {
    i32::try_from(duration.as_micros()).unwrap_or(i32::MAX)
}
