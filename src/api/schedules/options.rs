//! Checking what a schedule is given.

use std::time::Duration;

use pgrx::datum::{Interval, TimestampWithTimeZone};

use crate::api::arguments;
use crate::domain::moment::Moment;
use crate::domain::schedule::{Bounds, Course, Dst, Schedule, Spread};
use crate::error::Error;
use crate::store::datum::Text;
use crate::store::owner;
use crate::store::schedules::default_zone;
use crate::store::time::to_moment;
use crate::store::zone;
use crate::store::zone::PgZone;
use crate::worker::server_zone;

/// The longest catch-up window and the longest jitter, in microseconds.
const LONGEST_WINDOW: i128 = 10 * 366 * DAY;
const LONGEST_JITTER: i128 = DAY;
const DAY: i128 = 24 * 60 * 60 * 1_000_000;
/// What a command may take at most, in milliseconds: what the column holds, in whole days.
const LONGEST_COMMAND: i128 = 24 * DAY / 1000;

/// The options that every kind of schedule has, unchecked.
pub struct Given {
    pub overlap: Option<Text>,
    pub catchup: Option<Text>,
    pub catchup_window: Option<Interval>,
    pub jitter: Option<Interval>,
    pub starts_at: Option<TimestampWithTimeZone>,
    pub ends_at: Option<TimestampWithTimeZone>,
    pub active: Option<bool>,
}

/// The same, checked.
pub struct Options {
    pub overlap: &'static str,
    pub catchup: &'static str,
    pub catchup_window: Interval,
    pub jitter: Option<Interval>,
    pub starts_at: Option<TimestampWithTimeZone>,
    pub ends_at: Option<TimestampWithTimeZone>,
    pub active: bool,
}

/// When something runs, read from its text.
pub struct Clock {
    /// As it was written.
    pub text: String,
    pub schedule: Schedule,
    pub timezone: String,
    pub zone: PgZone,
    pub dst: Dst,
}

impl Clock {
    /// Reads a schedule, and finds its zone.
    pub fn read(schedule: Option<Text>, timezone: Option<Text>, dst: Option<Text>) -> Result<Self, Error> {
        let text = arguments::required(schedule, "schedule")?.read("schedule")?.trim().to_owned();
        let timezone = timezone.map(|name| name.read("timezone")).transpose()?;
        let dst = arguments::required(dst, "dst")?.read("dst")?;
        Self::of(text, timezone, &dst)
    }

    /// The same from plain text.
    pub fn of(text: String, timezone: Option<String>, dst: &str) -> Result<Self, Error> {
        let schedule = Schedule::parse(&text)?;
        let (timezone, zone) = zone(timezone)?;
        Ok(Self { text, schedule, timezone, zone, dst: Dst::parse(dst)? })
    }

    /// The slots that it shows, within bounds and spread.
    pub fn course(&self, bounds: Bounds, spread: Option<Spread>) -> Course<'_> {
        Course::new(&self.schedule, &self.zone, self.dst, bounds, spread)
    }

    /// Whether this is a single time that its zone's clock never shows, and that is not made up for.
    pub fn is_in_a_gap(&self) -> bool {
        self.dst != Dst::Vixie && self.course(Bounds::default(), None).next(Moment::from_micros(i64::MIN)).is_none()
    }
}

impl Given {
    /// Checks all that does not depend on the schedule.
    pub fn check(&self) -> Result<Options, Error> {
        let (starts_at, ends_at) = (finite("starts_at", self.starts_at)?, finite("ends_at", self.ends_at)?);
        if let (Some(starts_at), Some(ends_at)) = (starts_at, ends_at)
            && ends_at < starts_at
        {
            let (starts_at, ends_at) = (to_moment(starts_at).to_string(), to_moment(ends_at).to_string());
            return Err(Error::EndsFirst { starts_at, ends_at });
        }
        Ok(Options {
            overlap: one_of("overlap", OVERLAP, "skip, queue_one, allow or cancel", self.overlap)?,
            catchup: one_of("catchup", CATCHUP, "one, skip or all", self.catchup)?,
            catchup_window: window(arguments::required(self.catchup_window, "catchup_window")?)?,
            jitter: self.jitter.map(jitter).transpose()?,
            starts_at,
            ends_at,
            active: arguments::required(self.active, "active")?,
        })
    }
}

const OVERLAP: &[&str] = &["skip", "queue_one", "allow", "cancel"];
const CATCHUP: &[&str] = &["one", "skip", "all"];

impl Options {
    /// Between which moments the schedule runs.
    pub fn bounds(&self) -> Bounds {
        bounds(self.starts_at, self.ends_at)
    }
}

/// The same, of a schedule that there is.
pub fn bounds(starts_at: Option<TimestampWithTimeZone>, ends_at: Option<TimestampWithTimeZone>) -> Bounds {
    Bounds { starts_at: starts_at.map(to_moment), ends_at: ends_at.map(to_moment) }
}

/// By how much the slots of a schedule are spread.
pub fn spread(jitter: Option<Interval>, schedule: i64) -> Option<Spread> {
    let micros = u64::try_from(jitter?.as_micros()).ok()?;
    (micros > 0).then(|| Spread { most: Duration::from_micros(micros), seed: schedule })
}

/// How long a command may take, in milliseconds.
pub fn command_timeout(argument: Option<Interval>) -> Result<Option<i32>, Error> {
    let Some(interval) = argument else { return Ok(None) };
    let millis = interval.as_micros() / 1000;
    match i32::try_from(millis) {
        Ok(whole) if whole > 0 && millis <= LONGEST_COMMAND => Ok(Some(whole)),
        _ => Err(Error::OutOfRange {
            argument: "timeout",
            wanted: "at least one millisecond and at most 24 days",
            given: format!("{} s", millis as f64 / 1000.0),
        }),
    }
}

/// The zone that is named, or the database's: never the session's, which drivers set.
fn zone(named: Option<String>) -> Result<(String, PgZone), Error> {
    let (name, error): (String, fn(String) -> Error) = match named {
        Some(name) => (name, Error::NoSuchZone),
        None => (owner::acting(default_zone::set_here)?.unwrap_or_else(server_zone::name), Error::NoDefaultZone),
    };
    let found = owner::acting(|| zone::canonical(&name))?;
    let found = found.and_then(|canonical| PgZone::find(&canonical).map(|zone| (canonical, zone)));
    found.ok_or_else(|| error(name))
}

/// A time that comes, if it is given at all.
pub fn finite(
    name: &'static str,
    argument: Option<TimestampWithTimeZone>,
) -> Result<Option<TimestampWithTimeZone>, Error> {
    match argument {
        Some(at) if at.is_infinity() || at.is_neg_infinity() => {
            Err(Error::OutOfRange { argument: name, wanted: "a finite time, or null", given: "infinity".to_owned() })
        }
        other => Ok(other),
    }
}

fn one_of(
    argument: &'static str,
    names: &[&'static str],
    wanted: &'static str,
    given: Option<Text>,
) -> Result<&'static str, Error> {
    let given = arguments::required(given, argument)?.read(argument)?;
    let found = names.iter().find(|name| **name == given);
    found.copied().ok_or(Error::OutOfRange { argument, wanted, given })
}

fn window(given: Interval) -> Result<Interval, Error> {
    arguments::within("catchup_window", "from 0 to 3660 days", 0..=LONGEST_WINDOW, given)
}

fn jitter(given: Interval) -> Result<Interval, Error> {
    arguments::within("jitter", "from 0 to 1 day (24 hours)", 0..=LONGEST_JITTER, given)
}
