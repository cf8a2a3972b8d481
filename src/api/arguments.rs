//! Checking single arguments.

use std::ops::RangeInclusive;
use std::time::Duration;

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::prelude::*;

use crate::domain::stream::rules::Format;
use crate::domain::{header, request};
use crate::error::Error;
use crate::store::calls::Viewer;
use crate::store::datum::{Jsonb, Text};
use crate::store::owner;

/// No attempt takes longer than a day.
const LONGEST_TIMEOUT_MS: i128 = 24 * 60 * 60 * 1000;

/// The longest name of a schedule or a websocket.
const LONGEST_NAME: usize = 255;

/// The longest idempotency key.
const LONGEST_KEY: usize = 255;

/// An argument that must be given.
pub fn required<T>(argument: Option<T>, name: &'static str) -> Result<T, Error> {
    argument.ok_or(Error::NullArgument(name))
}

/// The name of a schedule or a websocket.
pub fn name(argument: Option<Text>) -> Result<String, Error> {
    let name = required(argument, "name")?.read("name")?;
    if name.chars().any(char::is_control) {
        let given = format!("\"{}\"", name.escape_default());
        return Err(Error::OutOfRange { argument: "name", wanted: "without control characters", given });
    }
    if name.is_empty() || name.len() > LONGEST_NAME {
        let given = format!("{} bytes", name.len());
        return Err(Error::OutOfRange { argument: "name", wanted: "1 to 255 bytes long", given });
    }
    Ok(name)
}

/// A length of time, in microseconds at least and at most so much.
pub fn within(
    argument: &'static str,
    wanted: &'static str,
    range: RangeInclusive<i128>,
    given: Interval,
) -> Result<Interval, Error> {
    let micros = given.as_micros();
    // What is added to a year and what is taken away from it would have to be measured by the same days everywhere.
    if given.months() < 0 || given.days() < 0 || given.micros() < 0 {
        let given = format!("one with a negative part, {} s in all", micros as f64 / 1_000_000.0);
        return Err(Error::OutOfRange { argument, wanted, given });
    }
    if range.contains(&micros) {
        return Ok(given);
    }
    Err(Error::OutOfRange { argument, wanted, given: given.to_string() })
}

/// A timeout in milliseconds.
pub fn timeout(argument: Option<Interval>) -> Result<Option<i32>, Error> {
    named_timeout("timeout", argument)
}

/// The same under another name.
pub fn named_timeout(name: &'static str, argument: Option<Interval>) -> Result<Option<i32>, Error> {
    let Some(interval) = argument else { return Ok(None) };
    let millis = interval.as_micros() / 1000;
    match i32::try_from(millis) {
        Ok(whole) if whole > 0 && millis <= LONGEST_TIMEOUT_MS => Ok(Some(whole)),
        _ => Err(Error::OutOfRange {
            argument: name,
            wanted: "at least one millisecond and at most one day",
            given: in_seconds(millis),
        }),
    }
}

/// How long a session is willing to wait.
pub fn patience(name: &'static str, argument: Option<Interval>) -> Result<Duration, Error> {
    let micros = required(argument, name)?.as_micros();
    match u64::try_from(micros) {
        Ok(micros) => Ok(Duration::from_micros(micros)),
        Err(_) if micros < 0 => {
            Err(Error::OutOfRange { argument: name, wanted: "zero or longer", given: in_seconds(micros / 1000) })
        }
        Err(_) => Ok(Duration::MAX / 2),
    }
}

fn in_seconds(millis: i128) -> String {
    format!("{} s", millis as f64 / 1000.0)
}

/// How often a call may be tried.
pub fn max_attempts(argument: Option<i32>) -> Result<Option<i16>, Error> {
    let Some(given) = argument else { return Ok(None) };
    match i16::try_from(given) {
        Ok(attempts) if (1..=1000).contains(&attempts) => Ok(Some(attempts)),
        _ => {
            Err(Error::OutOfRange { argument: "max_attempts", wanted: "between 1 and 1000", given: given.to_string() })
        }
    }
}

/// When a call is to be made first.
pub fn run_at(argument: Option<TimestampWithTimeZone>) -> Result<Option<TimestampWithTimeZone>, Error> {
    match argument {
        Some(at) if at.is_infinity() || at.is_neg_infinity() => {
            Err(Error::OutOfRange { argument: "run_at", wanted: "a finite time", given: "infinity".to_owned() })
        }
        other => Ok(other),
    }
}

/// A key that can stand in a header.
pub fn idempotency_key(argument: Option<&str>) -> Result<Option<&str>, Error> {
    let Some(key) = argument else { return Ok(None) };
    if key.is_empty() || key.len() > LONGEST_KEY {
        return Err(Error::OutOfRange {
            argument: "idempotency_key",
            wanted: "1 to 255 bytes long",
            given: format!("{} bytes", key.len()),
        });
    }
    header::value("Idempotency-Key", key)?;
    Ok(Some(key))
}

/// How an answer is to be streamed.
pub fn stream(given: Option<Text>) -> Result<Option<Format>, Error> {
    let name = given.map(|name| name.read("stream")).transpose()?;
    Ok(name.map(|name| Format::parse(&name)).transpose()?)
}

/// Metadata that fits beside a call.
pub fn metadata(given: Jsonb) -> Result<Jsonb, Error> {
    request::metadata_within_limit(given.stored_bytes())?;
    Ok(given)
}

/// Who asks, and whether he may see what is not his.
#[allow(unsafe_code, reason = "pgrx has no wrapper for it")]
pub fn viewer() -> Viewer {
    let role = owner::current_role();
    // SAFETY: main thread, inside a transaction.
    Viewer { role, sees_all: unsafe { pg_sys::superuser_arg(role) } }
}
