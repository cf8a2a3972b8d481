//! What a schedule means, in English. It is told from the values that were read and not from how they were written, so it
//! is right for `*/90` (only minute 0) and `*/7` (which begins anew each hour) too.

mod days;
mod time;
mod words;

use jiff::Timestamp;
use jiff::tz::Offset;

use self::time::Time;
use super::{Cron, Grid, Once, Schedule};
use crate::domain::moment::Moment;

/// A sentence without its full stop.
pub fn describe(schedule: &Schedule) -> String {
    let sentence = match schedule {
        Schedule::Cron(cron) => by_the_clock(cron),
        Schedule::Every(grid) => interval(*grid),
        Schedule::At(Once::Moment(moment)) => format!("once, at {} UTC", clock(*moment)),
        Schedule::At(Once::Clock(moment)) => format!("once, when the schedule's clock shows {}", clock(*moment)),
        Schedule::Reboot => "when the server has started".to_owned(),
    };
    words::capital(&sentence)
}

fn by_the_clock(cron: &Cron) -> String {
    match (time::of(cron), days::of(cron)) {
        (Time::Single(time) | Time::Throughout(time), Some(days)) => format!("{time} {days}"),
        (Time::Single(time), None) => format!("{time} every day"),
        (Time::Throughout(time), None) => time,
    }
}

fn interval(grid: Grid) -> String {
    let seconds = grid.seconds();
    let (number, unit) = match seconds {
        _ if seconds.is_multiple_of(3600) => (seconds / 3600, "hour"),
        _ if seconds.is_multiple_of(60) => (seconds / 60, "minute"),
        _ => (seconds, "second"),
    };
    words::every(number, unit)
}

/// A moment as a clock in UTC shows it, as short as it goes.
fn clock(moment: Moment) -> String {
    let Ok(timestamp) = Timestamp::from_microsecond(moment.micros()) else {
        return "a time beyond the calendar".to_owned();
    };
    let shown = Offset::UTC.to_datetime(timestamp);
    let (date, time) = (shown.date(), shown.time());
    let minutes = format!("{date} {:02}:{:02}", time.hour(), time.minute());
    match (time.second(), time.subsec_nanosecond() / 1000) {
        (0, 0) => minutes,
        (second, 0) => format!("{minutes}:{second:02}"),
        (second, micros) => format!("{minutes}:{second:02}.{micros:06}"),
    }
}
