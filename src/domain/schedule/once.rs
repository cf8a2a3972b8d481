//! `at` a time: once.

use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

use super::error::ScheduleError;
use crate::domain::moment::Moment;

/// When something is to happen once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Once {
    /// At a moment that does not depend on a zone.
    Moment(Moment),
    /// When the clock of the schedule's zone shows this: counted as if it showed UTC.
    Clock(Moment),
}

impl Once {
    /// Reads what follows `at`; `text` is the whole schedule.
    pub fn parse(text: &str, rest: &str) -> Result<Self, ScheduleError> {
        let wrong = || ScheduleError::At(text.to_owned());
        let pieces = Pieces::parse(rest).map_err(|_| wrong())?;
        if pieces.time_zone_annotation().is_some() {
            return Err(ScheduleError::AtZone(text.to_owned()));
        }
        let clock = pieces.date().to_datetime(pieces.time().ok_or_else(wrong)?);
        let moment = |offset: Offset| match offset.to_timestamp(clock) {
            Ok(moment) => Ok(Moment::from_micros(moment.as_microsecond())),
            Err(_) => Err(wrong()),
        };
        match pieces.to_numeric_offset() {
            Some(offset) => moment(offset).map(Self::Moment),
            None => moment(Offset::UTC).map(Self::Clock),
        }
    }
}
