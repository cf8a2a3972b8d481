//! The fields of a cron expression, and how the part that all have in common is read: lists, ranges, steps, names.

use super::error::{Fault, ScheduleError};

/// Which field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Only where there are six.
    Second,
    /// The first of five.
    Minute,
    /// Of the day.
    Hour,
    /// Which may also be the last one, or a working day near by.
    DayOfMonth,
    /// By number or name.
    Month,
    /// By number or name: 0 and 7 are both Sunday.
    DayOfWeek,
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Field {
    /// As messages call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Second => "seconds",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day-of-month",
            Self::Month => "month",
            Self::DayOfWeek => "day-of-week",
        }
    }

    /// What it takes, with examples.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Second | Self::Minute => "0 to 59, such as 30, 0,30 or */15",
            Self::Hour => "0 to 23, such as 9, 9-17 or */6",
            Self::DayOfMonth => "1 to 31, such as 1, 1-7, */2, L (the last day), LW (the last working day) or 15W",
            Self::Month => "1 to 12 or jan to dec, such as 6, jan-mar or */3",
            Self::DayOfWeek => {
                "0 to 7 (0 and 7 are Sunday) or sun to sat, such as mon-fri, 5#2 (the second Friday) or 5L (the last one)"
            }
        }
    }

    /// The smallest and the largest number in it.
    pub const fn bounds(self) -> (u8, u8) {
        match self {
            Self::Second | Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::DayOfMonth => (1, 31),
            Self::Month => (1, 12),
            Self::DayOfWeek => (0, 7),
        }
    }

    /// The last value that a range may go to and be followed by the first one: Sunday is not meant twice.
    const fn end(self) -> u8 {
        if let Self::DayOfWeek = self { 6 } else { self.bounds().1 }
    }

    const fn names(self) -> (&'static [&'static str], u8) {
        match self {
            Self::Month => (&MONTHS, 1),
            Self::DayOfWeek => (&WEEKDAYS, 0),
            _ => (&[], 0),
        }
    }

    /// The values of a field that knows nothing but lists, ranges and steps: bit n is set if n is meant.
    pub fn values(self, text: &str) -> Result<u64, ScheduleError> {
        let mut values = 0;
        for entry in text.split(',') {
            values |= self.entry(entry).map_err(|fault| self.wrong(text, fault))?;
        }
        Ok(values)
    }

    /// What to say of a fault in it.
    pub fn wrong(self, text: &str, fault: Fault) -> ScheduleError {
        ScheduleError::Field { field: self, text: text.to_owned(), fault }
    }

    /// One entry of a list: `*`, `n`, `a-b`, the first and the last of these with a step.
    pub fn entry(self, entry: &str) -> Result<u64, Fault> {
        if entry.is_empty() {
            return Err(Fault::Gap);
        }
        let (range, step) = match entry.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (entry, None),
        };
        let (low, high) = self.bounds();
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((first, last)) if first.is_empty() || last.is_empty() || last.contains('-') => {
                return Err(Fault::Range(range.to_owned()));
            }
            Some((first, last)) => (self.value(first)?, self.value(last)?),
            None => {
                let value = self.part(range, entry)?;
                match step {
                    Some(_) => return Err(Fault::StepAlone(entry.to_owned(), format!("{value}-{high}"))),
                    None => (value, value),
                }
            }
        };
        if first > last {
            return Err(match range.split_once('-') {
                Some((_, end)) if end.eq_ignore_ascii_case("sun") => {
                    Fault::ToSunday { range: range.to_owned(), instead: format!("{first}-7") }
                }
                // Sunday as day 7.
                _ if first > self.end() => {
                    Fault::Reversed { range: range.to_owned(), instead: format!("{low}-{last}") }
                }
                _ => {
                    Fault::Reversed { range: range.to_owned(), instead: format!("{first}-{},{low}-{last}", self.end()) }
                }
            });
        }
        let step = step.map_or(Ok(1), step_of)?;
        Ok((first..=last).step_by(step).fold(0, |bits, value| bits | 1 << value))
    }

    /// The same as a part of an entry, which is named where nothing stands in its place.
    pub fn part(self, word: &str, entry: &str) -> Result<u8, Fault> {
        if word.is_empty() { Err(Fault::Unknown(entry.to_owned())) } else { self.value(word) }
    }

    /// A number or a name.
    pub fn value(self, word: &str) -> Result<u8, Fault> {
        let (names, first) = self.names();
        if let Some(found) = (first..).zip(names).find(|(_, name)| name.eq_ignore_ascii_case(word)) {
            return Ok(found.0);
        }
        if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Fault::Unknown(word.to_owned()));
        }
        let (low, high) = self.bounds();
        match word.parse::<u8>() {
            Ok(value) if (low..=high).contains(&value) => Ok(value),
            _ => Err(Fault::OutOfRange(word.to_owned())),
        }
    }
}

/// A step that goes beyond the range leaves only its beginning, as with Vixie's cron.
fn step_of(word: &str) -> Result<usize, Fault> {
    match word.parse::<usize>() {
        Ok(step) if step > 0 && !word.starts_with('+') => Ok(step),
        _ => Err(Fault::Step(word.to_owned())),
    }
}
