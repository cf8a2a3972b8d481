//! What a schedule means, and when it would run: without making one.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::iter::SetOfIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::api::arguments;
use crate::api::schedules::options::Clock;
use crate::domain::moment::Moment;
use crate::domain::schedule::catch_up::Slots;
use crate::domain::schedule::{Bounds, Schedule};
use crate::error::Error;
use crate::store::datum::Text;
use crate::store::time::{now, of_moment, to_moment};

/// As many runs as are asked for at once.
const MOST: i32 = 1000;

/// The next times at which a schedule would run.
#[pg_extern(schema = "edge", stable, parallel_unsafe)]
fn next_runs(
    schedule: Option<Text>,
    timezone: default!(Option<Text>, "NULL"),
    n: default!(Option<i32>, "5"),
    after: default!(Option<TimestampWithTimeZone>, "pg_catalog.now()"),
    dst: default!(Option<Text>, "'vixie'"),
) -> Result<SetOfIterator<'static, TimestampWithTimeZone>, ErrorReport> {
    let wanted = arguments::required(n, "n")?;
    if !(1..=MOST).contains(&wanted) {
        let given = wanted.to_string();
        return Err(Error::OutOfRange { argument: "n", wanted: "between 1 and 1000", given }.into());
    }
    let clock = Clock::read(schedule, timezone, dst)?;
    let after = after.map_or_else(now, to_moment);
    Ok(SetOfIterator::new(slots(&clock, after, wanted.unsigned_abs() as usize)))
}

fn slots(clock: &Clock, after: Moment, most: usize) -> Vec<TimestampWithTimeZone> {
    let course = clock.course(Bounds::default(), None);
    let slots = std::iter::successors(course.next_after(after), |slot| course.next_after(*slot));
    slots.take(most).map(of_moment).collect()
}

/// A schedule in English.
#[pg_extern(schema = "edge", immutable, parallel_safe)]
fn describe_schedule(schedule: Option<Text>) -> Result<Option<String>, ErrorReport> {
    let Some(schedule) = schedule else { return Ok(None) };
    let text = schedule.read("schedule")?;
    Ok(Some(Schedule::parse(&text).map_err(Error::from)?.describe()))
}
