//! The zones of the machine's own tables, as schedules want them.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use pg_edge::domain::moment::Moment;
use pg_edge::domain::schedule::zone::{Span, Zone};

static DATABASE: LazyLock<TimeZoneDatabase> =
    LazyLock::new(|| TimeZoneDatabase::from_dir("/usr/share/zoneinfo").expect("the machine has time zones"));
static ZONES: LazyLock<Mutex<BTreeMap<String, &'static Table>>> = LazyLock::new(Mutex::default);

/// Every offset of a zone from about 1800 to 2200.
pub struct Table {
    first: i32,
    /// When another offset begins, and which.
    changes: Vec<(i64, i32)>,
}

impl Table {
    /// The zone of that name.
    pub fn named(name: &str) -> &'static Self {
        ZONES.lock().unwrap().entry(name.to_owned()).or_insert_with(|| {
            let zone = DATABASE.get(name).unwrap_or_else(|error| panic!("{name}: {error}"));
            Box::leak(Box::new(Self::of(&zone)))
        })
    }

    fn of(zone: &TimeZone) -> Self {
        let at = |year| Offset::UTC.to_timestamp(date(year, 1, 1).at(0, 0, 0, 0)).unwrap();
        let first = zone.to_offset(at(1800)).seconds();
        let mut changes: Vec<(i64, i32)> = Vec::new();
        for change in zone.following(at(1800)).take_while(|change| change.timestamp() < at(2200)) {
            let offset = change.offset().seconds();
            if offset != changes.last().map_or(first, |last| last.1) {
                changes.push((change.timestamp().as_second(), offset));
            }
        }
        Self { first, changes }
    }

    /// What the clock shows at that second, as if it were UTC's.
    pub fn clock(&self, at: i64) -> i64 {
        at + i64::from(self.span(at).offset)
    }

    /// When its offset changes.
    pub fn changes(&self) -> impl Iterator<Item = i64> {
        self.changes.iter().map(|change| change.0)
    }
}

impl Zone for Table {
    fn span(&self, at: i64) -> Span {
        let next = self.changes.partition_point(|change| change.0 <= at);
        let offset = next.checked_sub(1).map_or(self.first, |last| self.changes[last].1);
        Span { offset, until: self.changes.get(next).map(|change| change.0) }
    }
}

/// Every zone there is.
pub fn names() -> Vec<String> {
    DATABASE.available().map(|name| name.to_string()).collect()
}

/// The unix second of `2026-03-08T07:30:00Z`.
pub fn second(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap_or_else(|error| panic!("{text}: {error}")).as_second()
}

/// `03-08T03:00:00-04`: what a clock shows at that moment, without the year.
pub fn shown(zone: &Table, at: Moment) -> String {
    let offset = Offset::from_seconds(zone.span(at.seconds()).offset).unwrap();
    let clock = offset.to_datetime(Timestamp::from_microsecond(at.micros()).unwrap()).to_string();
    format!("{}{offset}", &clock[5..])
}
