//! Cron expressions: five fields, or six with seconds first, and the next time on the clock that fits one.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

use super::days::{Days, Month};
use super::error::ScheduleError;
use super::field::Field;

const HOUR: u32 = 3600;
/// After so many months, and turns of the year, the calendar repeats, weekdays included.
const CYCLE: u32 = 400 * 13;

/// A cron expression, read. Bit n of a field is set if n is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    pub(super) seconds: u64,
    pub(super) minutes: u64,
    pub(super) hours: u32,
    pub(super) days: Days,
    pub(super) months: u16,
    pub(super) pace: Pace,
}

/// What a job follows when the clock is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// A time of day: neither the minute, the hour nor the seconds field begins with a star.
    Fixed,
    /// Real time.
    Wild,
}

impl Cron {
    /// Reads five or six fields.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let (second, [minute, hour, of_month, month, of_week]) = match *fields {
            [minute, hour, of_month, month, of_week] => ("0", [minute, hour, of_month, month, of_week]),
            [second, minute, hour, of_month, month, of_week] => (second, [minute, hour, of_month, month, of_week]),
            _ => return Err(ScheduleError::Fields { text: text.to_owned(), given: fields.len() }),
        };
        let wild = [second, minute, hour].iter().any(|field| field.starts_with('*'));
        let months = Field::Month.values(month)? as u16;
        let cron = Self {
            seconds: Field::Second.values(second)?,
            minutes: Field::Minute.values(minute)?,
            hours: Field::Hour.values(hour)? as u32,
            days: Days::parse(of_month, of_week)?,
            months,
            pace: if wild { Pace::Wild } else { Pace::Fixed },
        };
        if cron.day_from(Date::constant(2000, 1, 1)).is_none() {
            return Err(ScheduleError::Never(text.to_owned()));
        }
        Ok(cron)
    }

    /// The first second on a clock, from this one on, that fits. Seconds are counted as if the clock showed UTC.
    pub fn fits_from(&self, from: i64) -> Option<i64> {
        let start = Offset::UTC.to_datetime(Timestamp::from_second(from).ok()?);
        let (date, time) = (start.date(), start.time());
        let of_day =
            self.time_from(time.hour().unsigned_abs(), time.minute().unsigned_abs(), time.second().unsigned_abs());
        if let Some(second) = of_day
            && self.fits_day(date)
        {
            return Some(midnight(date)? + i64::from(second));
        }
        let day = self.day_from(date.tomorrow().ok()?)?;
        Some(midnight(day)? + i64::from(self.time_from(0, 0, 0)?))
    }

    fn fits_day(&self, date: Date) -> bool {
        self.months >> date.month() & 1 == 1 && self.days.of(Month::of(date)) >> date.day() & 1 == 1
    }

    /// The first day that fits, from this one on; `None` if the calendar repeats without one.
    fn day_from(&self, from: Date) -> Option<Date> {
        let (mut year, mut month, mut day) = (from.year(), from.month().unsigned_abs(), from.day());
        for _ in 0..CYCLE {
            let Some(next) = bit_from(u64::from(self.months), month) else {
                (year, month, day) = (year.checked_add(1)?, 1, 1);
                continue;
            };
            if next != u32::from(month) {
                (month, day) = (next as u8, 1);
            }
            let first = Date::new(year, month as i8, 1).ok()?;
            let days = self.days.of(Month::of(first)) >> day << day;
            if days != 0 {
                return Date::new(year, month as i8, days.trailing_zeros() as i8).ok();
            }
            (month, day) = (month + 1, 1);
        }
        None
    }

    /// The first second of the day, from this time on, that fits.
    fn time_from(&self, hour: u8, minute: u8, second: u8) -> Option<u32> {
        let (first_minute, first_second) = (self.minutes.trailing_zeros(), self.seconds.trailing_zeros());
        if self.hours >> hour & 1 == 1 {
            if self.minutes >> minute & 1 == 1
                && let Some(second) = bit_from(self.seconds, second)
            {
                return Some(u32::from(hour) * HOUR + u32::from(minute) * 60 + second);
            }
            if let Some(minute) = bit_from(self.minutes, minute + 1) {
                return Some(u32::from(hour) * HOUR + minute * 60 + first_second);
            }
        }
        let hour = bit_from(u64::from(self.hours), hour + 1)?;
        Some(hour * HOUR + first_minute * 60 + first_second)
    }
}

/// The first bit that is set, from this one on.
fn bit_from(bits: u64, from: u8) -> Option<u32> {
    let rest = bits.checked_shr(u32::from(from))?;
    (rest != 0).then(|| rest.trailing_zeros() + u32::from(from))
}

/// The clock's second at which a day begins.
fn midnight(date: Date) -> Option<i64> {
    Offset::UTC.to_timestamp(DateTime::from(date)).ok().map(Timestamp::as_second)
}
