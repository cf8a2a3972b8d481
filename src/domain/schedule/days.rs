//! Which days of a month are meant: the day-of-month and the day-of-week field together.

use jiff::civil::Date;

use super::error::{Fault, ScheduleError};
use super::field::Field;

/// Both fields for days. A day of the month is a bit from 1 to 31.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    /// Days by number.
    pub numbers: u32,
    /// The last day, as `L` or `$`.
    pub last: bool,
    /// The last working day, as `LW`.
    pub last_working: bool,
    /// The working days nearest to these, as `15W`.
    pub working: u32,
    /// Weekdays; bit 0 is Sunday.
    pub weekdays: u8,
    /// Weekdays counted within the month, as `5#2`: bits of weekdays for #1 to #5.
    pub counted: [u8; 5],
    /// Last weekdays of the month, as `5L`.
    pub last_weekdays: u8,
    /// How the two fields go together.
    pub joined: Joined,
}

/// How the two fields for days go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// One of them begins with a star: a day must be meant by both.
    Both,
    /// Neither does: it is enough that one of them means the day.
    Either,
}

impl Days {
    /// Reads both fields.
    pub fn parse(of_month: &str, of_week: &str) -> Result<Self, ScheduleError> {
        let joined = if of_month.starts_with('*') || of_week.starts_with('*') { Joined::Both } else { Joined::Either };
        let mut days = Self {
            numbers: 0,
            last: false,
            last_working: false,
            working: 0,
            weekdays: 0,
            counted: [0; 5],
            last_weekdays: 0,
            joined,
        };
        if of_month == "$" {
            days.last = true;
        } else {
            for entry in of_month.split(',') {
                days.month_entry(entry).map_err(|fault| Field::DayOfMonth.wrong(of_month, fault))?;
            }
        }
        for entry in of_week.split(',') {
            days.week_entry(entry).map_err(|fault| Field::DayOfWeek.wrong(of_week, fault))?;
        }
        Ok(days)
    }

    fn month_entry(&mut self, entry: &str) -> Result<(), Fault> {
        let field = Field::DayOfMonth;
        if entry.eq_ignore_ascii_case("l") {
            self.last = true;
        } else if entry.eq_ignore_ascii_case("lw") {
            self.last_working = true;
        } else if entry.split_once('-').is_some_and(|(first, _)| first.eq_ignore_ascii_case("l")) {
            return Err(Fault::BeforeLast(entry.to_owned()));
        } else if entry.contains('$') {
            return Err(Fault::NotAlone);
        } else if let Some(day) = entry.strip_suffix(['w', 'W']) {
            self.working |= 1 << field.part(day, entry)?;
        } else {
            self.numbers |= field.entry(entry)? as u32;
        }
        Ok(())
    }

    fn week_entry(&mut self, entry: &str) -> Result<(), Fault> {
        let field = Field::DayOfWeek;
        if let Some((day, nth)) = entry.split_once('#') {
            let weekday = 1 << (field.part(day, entry)? % 7);
            match nth.as_bytes() {
                [digit @ b'1'..=b'5'] => self.counted[usize::from(digit - b'1')] |= weekday,
                _ => return Err(Fault::Nth(entry.to_owned())),
            }
        } else if let Some(day) = entry.strip_suffix(['l', 'L']).filter(|day| !day.is_empty()) {
            self.last_weekdays |= 1 << (field.value(day)? % 7);
        } else {
            let values = field.entry(entry)?;
            // Sunday is 0 and 7.
            self.weekdays |= (values & 0x7f | values >> 7) as u8;
        }
        Ok(())
    }

    /// The days of this month that are meant.
    pub fn of(&self, month: Month) -> u32 {
        let by_number = self.by_number(month);
        let by_weekday = self.by_weekday(month);
        match self.joined {
            Joined::Both => by_number & by_weekday,
            Joined::Either => by_number | by_weekday,
        }
    }

    fn by_number(&self, month: Month) -> u32 {
        let mut days = self.numbers & month.all();
        if self.last {
            days |= 1 << month.days;
        }
        if self.last_working {
            days |= 1 << month.working_day_near(month.days);
        }
        let mut working = self.working & month.all();
        while working != 0 {
            days |= 1 << month.working_day_near(working.trailing_zeros() as u8);
            working &= working - 1;
        }
        days
    }

    fn by_weekday(&self, month: Month) -> u32 {
        let mut days = month.with(self.weekdays);
        for (week, weekdays) in self.counted.into_iter().enumerate() {
            days |= month.with(weekdays) & (0x7f << (1 + 7 * week));
        }
        days | month.with(self.last_weekdays) & (0x7f << (month.days - 6))
    }
}

/// A month of a year, as far as its days matter.
#[derive(Clone, Copy, Debug)]
pub struct Month {
    /// Of the first day; 0 is Sunday.
    first: u8,
    days: u8,
}

impl Month {
    /// The one in which that day lies.
    pub fn of(date: Date) -> Self {
        let first = date.first_of_month().weekday().to_sunday_zero_offset();
        Self { first: first.unsigned_abs(), days: date.days_in_month().unsigned_abs() }
    }

    /// All its days.
    const fn all(self) -> u32 {
        (u32::MAX >> (31 - self.days)) & !1
    }

    /// Its days that fall on one of these weekdays.
    const fn with(self, weekdays: u8) -> u32 {
        // Turned so that bit 0 is the weekday of the first day, then once for each week.
        let twice = (weekdays as u32) | (weekdays as u32) << 7;
        let week = ((twice >> self.first) & 0x7f) as u64;
        let weeks = week | week << 7 | week << 14 | week << 21 | week << 28;
        (weeks << 1) as u32 & self.all()
    }

    /// The day from Monday to Friday that is nearest to this one and in the same month.
    const fn working_day_near(self, day: u8) -> u8 {
        match (self.first + day - 1) % 7 {
            6 if day > 1 => day - 1,
            6 => day + 2,
            0 if day < self.days => day + 1,
            0 => day - 2,
            _ => day,
        }
    }
}
