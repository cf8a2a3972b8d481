//! The days and months.

use super::words::{list, numbers, ordinal, ranges};
use crate::domain::schedule::Cron;
use crate::domain::schedule::days::{Days, Joined};

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 13] = [
    "",
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const COUNTED: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];
const ALL_DAYS: u32 = !1;
const ALL_WEEKDAYS: u8 = 0x7f;
const ALL_MONTHS: u16 = 0x1ffe;

/// On which days; `None` if on all.
pub fn of(cron: &Cron) -> Option<String> {
    let days = &cron.days;
    let by_number = (days.numbers != ALL_DAYS).then(|| by_number(days));
    let by_weekday = (days.weekdays != ALL_WEEKDAYS).then(|| by_weekday(days));
    let both = match (by_number, by_weekday, days.joined) {
        (Some(number), Some(weekday), Joined::Both) => Some(format!("{number}, if that is {weekday}")),
        (Some(number), Some(weekday), Joined::Either) => Some(format!("{number}, and also on {weekday}")),
        // One that means every day leaves nothing to the other.
        (None, _, Joined::Either) | (_, None, Joined::Either) | (None, None, _) => None,
        (Some(number), None, Joined::Both) => Some(number),
        (None, Some(weekday), Joined::Both) => Some(format!("on {weekday}")),
    };
    let months =
        (cron.months != ALL_MONTHS).then(|| ranges(u64::from(cron.months), |month| MONTHS[month as usize].to_owned()));
    match (both, months) {
        (Some(days), Some(months)) => Some(format!("{days}, in {months}")),
        (None, Some(months)) => Some(format!("every day in {months}")),
        (days, None) => days,
    }
}

fn by_number(days: &Days) -> String {
    let mut parts = Vec::new();
    if days.numbers != 0 {
        parts.push(match step_from_the_first(days.numbers) {
            Some(step) => format!("every {} day of the month from the 1st", ordinal(step)),
            None => format!("the {} of the month", ranges(u64::from(days.numbers), ordinal)),
        });
    }
    parts
        .extend(numbers(u64::from(days.working)).map(|day| format!("the working day nearest to the {}", ordinal(day))));
    if days.last {
        parts.push("the last day of the month".to_owned());
    }
    if days.last_working {
        parts.push("the last working day of the month".to_owned());
    }
    format!("on {}", list(&parts))
}

fn by_weekday(days: &Days) -> String {
    let mut parts = Vec::new();
    if days.weekdays != 0 {
        parts.push(plain_weekdays(days.weekdays));
    }
    for (weekdays, counted) in days.counted.into_iter().zip(COUNTED) {
        parts.extend(each(weekdays).map(|weekday| format!("the {counted} {weekday} of the month")));
    }
    parts.extend(each(days.last_weekdays).map(|weekday| format!("the last {weekday} of the month")));
    list(&parts)
}

/// A week begins with Monday here, so that Saturday and Sunday stand together.
fn plain_weekdays(weekdays: u8) -> String {
    let from_monday = u64::from(weekdays >> 1 | (weekdays & 1) << 6);
    ranges(from_monday, |day| WEEKDAYS[(day as usize + 1) % 7].to_owned())
}

fn each(weekdays: u8) -> impl Iterator<Item = &'static str> {
    numbers(u64::from(weekdays)).map(|day| WEEKDAYS[day as usize])
}

/// The step of `*/2`, which begins with the first day.
fn step_from_the_first(days: u32) -> Option<u32> {
    (2..=10).find(|step| numbers(u64::from(days)).eq((1..=31).step_by(*step as usize)))
}
