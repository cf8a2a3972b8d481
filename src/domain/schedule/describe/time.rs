//! The times of a day.

use super::words::{even_step, every, list, named, numbers, ordinal, ranges};
use crate::domain::schedule::Cron;

/// So many times of day are told one by one.
const FEW: u32 = 6;
/// Seconds are not spoken of where they are only this one, 0.
const ON_THE_MINUTE: u64 = 1;

/// When on a day that is meant.
pub enum Time {
    /// Single times: `at 09:00`.
    Single(String),
    /// All day long: `every 5 minutes`.
    Throughout(String),
}

/// What happens within an hour.
enum Within {
    /// `every 5 minutes`
    Rate(String),
    /// `at minute 5`
    Points(String),
}

/// The time of day of an expression.
pub fn of(cron: &Cron) -> Time {
    let hours = u64::from(cron.hours);
    if cron.seconds.count_ones() * cron.minutes.count_ones() * hours.count_ones() <= FEW {
        return Time::Single(one_by_one(cron.seconds, cron.minutes, hours));
    }
    Time::Throughout(match within(cron.seconds, cron.minutes) {
        Within::Rate(rate) => format!("{rate}{}", rate_in(hours)),
        Within::Points(points) => format!("{points} of {}", points_in(hours)),
    })
}

/// `at 09:00 and 17:30`.
fn one_by_one(seconds: u64, minutes: u64, hours: u64) -> String {
    let mut times = Vec::new();
    for hour in numbers(hours) {
        for minute in numbers(minutes) {
            times.extend(numbers(seconds).map(|second| match seconds {
                ON_THE_MINUTE => format!("{hour:02}:{minute:02}"),
                _ => format!("{hour:02}:{minute:02}:{second:02}"),
            }));
        }
    }
    format!("at {}", list(&times))
}

fn within(seconds: u64, minutes: u64) -> Within {
    if seconds == ON_THE_MINUTE {
        return match even_step(minutes, 60) {
            Some(step) => Within::Rate(every(step, "minute")),
            None => Within::Points(format!("at {}", named("minute", minutes))),
        };
    }
    let all_minutes = even_step(minutes, 60) == Some(1);
    match even_step(seconds, 60) {
        Some(step) if all_minutes => Within::Rate(every(step, "second")),
        Some(step) => Within::Points(format!("{} in {}", every(step, "second"), named("minute", minutes))),
        None if all_minutes => Within::Rate(format!("at {} of every minute", named("second", seconds))),
        None => Within::Points(format!("at {} of {}", named("second", seconds), named("minute", minutes))),
    }
}

/// The hours in which something goes on.
fn rate_in(hours: u64) -> String {
    match (even_step(hours, 24), first_and_last(hours)) {
        (Some(1), _) => String::new(),
        (Some(step), _) => format!(" in every {} hour from 00", ordinal(step)),
        (None, Some((first, last))) => format!(" from {first:02}:00 to {last:02}:59"),
        (None, None) => format!(" in the hours {}", names(hours)),
    }
}

/// The hours that have these points.
fn points_in(hours: u64) -> String {
    match even_step(hours, 24) {
        Some(1) => "every hour".to_owned(),
        Some(step) => format!("every {} hour from 00", ordinal(step)),
        None if hours.is_power_of_two() => format!("hour {}", names(hours)),
        None => format!("the hours {}", names(hours)),
    }
}

fn names(hours: u64) -> String {
    ranges(hours, |hour| format!("{hour:02}"))
}

/// The ends of hours that follow one another.
fn first_and_last(hours: u64) -> Option<(u32, u32)> {
    let (first, last) = (hours.trailing_zeros(), 63 - hours.leading_zeros());
    (last - first + 1 == hours.count_ones()).then_some((first, last))
}
