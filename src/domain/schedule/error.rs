//! Why a schedule was refused.

use super::field::Field;

/// Says which part of a schedule is wrong, how, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Nothing was said.
    #[error(
        "a schedule is empty; write for example \"0 9 * * mon-fri\", \"@daily\", \"every 10 seconds\" or \"at 2030-12-01 09:00\""
    )]
    Empty,
    /// Longer than any schedule has a reason to be.
    #[error("a schedule has at most {most} characters, not {given}")]
    TooLong {
        /// The limit.
        most: usize,
        /// How many there were.
        given: usize,
    },
    /// The wrong number of fields.
    #[error(
        "\"{text}\" has {given} field{}; a schedule has 5, minute hour day-of-month month day-of-week, such as \"0 9 * * mon-fri\", or 6 with seconds first, such as \"*/10 0 9 * * *\"", if *given == 1 { "" } else { "s" }
    )]
    Fields {
        /// What was given.
        text: String,
        /// How many fields it has.
        given: usize,
    },
    /// One field is wrong.
    #[error("the {} field \"{text}\" {fault}: {}", field.name(), field.hint())]
    Field {
        /// Which.
        field: Field,
        /// The whole of it.
        text: String,
        /// What is wrong with it.
        fault: Fault,
    },
    /// No day is ever meant.
    #[error(
        "\"{0}\" never runs: in no year is there a day that fits its day-of-month, month and day-of-week, as there would be with \"0 0 28 2 *\""
    )]
    Never(String),
    /// No such name.
    #[error(
        "there is no schedule \"{0}\"; there are @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually and @reboot"
    )]
    Nickname(String),
    /// `every` with something else behind it than a number and a unit.
    #[error(
        "\"{0}\" is no interval; write every N seconds, minutes or hours, such as \"every 10 seconds\" or \"every 48 hours\"; for days, \"0 9 * * *\" or \"@daily\" (a day has 23 to 25 hours), and \"0 9 */2 * *\" for odd dates"
    )]
    Every(String),
    /// An interval of nothing, or of years.
    #[error("the interval of \"{text}\" must be from 1 second to 366 days (8784 hours), such as \"every 90 minutes\"")]
    Interval {
        /// What was given.
        text: String,
    },
    /// `N seconds` beyond what pg_cron takes.
    #[error(
        "\"{text}\" must be from 1 to 59 seconds, as with pg_cron, such as \"30 seconds\"; \"every 90 seconds\" may be longer"
    )]
    Seconds {
        /// What was given.
        text: String,
    },
    /// `at` with something else behind it than a time.
    #[error(
        "\"{0}\" names no time; write at DATE TIME, such as \"at 2030-12-01 09:00\" or \"at 2030-12-01T09:00:00+01:00\""
    )]
    At(String),
    /// `at` with the name of a zone in it.
    #[error(
        "\"{0}\" names a time zone; give an offset such as +01:00, or none and the zone as the schedule's timezone"
    )]
    AtZone(String),
    /// No such rule for changes of the clock.
    #[error("dst must be vixie, skip or literal, not \"{0}\"")]
    Dst(String),
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Two commas in a row, or one at an end.
    #[error("has nothing before or after a comma")]
    Gap,
    /// Something else than a number, or than a name that this field knows.
    #[error("has \"{0}\" in it, which it does not know")]
    Unknown(String),
    /// A number that this field does not have.
    #[error("has {0} in it, which is out of range")]
    OutOfRange(String),
    /// A range that ends before it begins.
    #[error("has the range {range} in it, which ends before it begins; write {instead}")]
    Reversed {
        /// As it was written.
        range: String,
        /// The same from its beginning to the end of the field, and from there to its end.
        instead: String,
    },
    /// `1-5-7`, `5-`, `-1`.
    #[error("has \"{0}\" in it, but a range is two values, the smaller one first; none is negative")]
    Range(String),
    /// `L-3`.
    #[error("has \"{0}\" in it, but L stands by itself; days before the last one cannot be counted")]
    BeforeLast(String),
    /// `fri-sun`.
    #[error("has the range {range} in it, but Sunday is day 0 and begins the week; write {instead}")]
    ToSunday {
        /// As it was written.
        range: String,
        /// The same days, with Sunday as day 7.
        instead: String,
    },
    /// `1/20`.
    #[error("has a step in \"{0}\" but no range that it goes through, which would be * or a range such as {1}")]
    StepAlone(String, String),
    /// `*/0`.
    #[error("has the step {0} in it, but a step is a whole number of at least 1")]
    Step(String),
    /// `6#7`.
    #[error("has \"{0}\" in it, but a month has a weekday from #1 to #5 times")]
    Nth(String),
    /// `$,5`.
    #[error("has $ in it together with something else; $ stands alone, and L goes into a list")]
    NotAlone,
}
