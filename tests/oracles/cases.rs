//! Random expressions, zones and moments: the same ones each time.

use fastrand::Rng;

use crate::zones::{Table, second};

/// So many runs are compared of each case.
pub const RUNS: usize = 6;

/// A question.
#[derive(Debug)]
pub struct Case {
    pub expression: String,
    pub zone: &'static str,
    /// The unix second that the runs are to follow.
    pub start: i64,
}

/// Zones that change their clocks by an hour, on the hour: beyond that (Lord Howe, Troll, and St John's, which used to
/// change at one past midnight) the oracles themselves go wrong. Some change at midnight, some to the other side, some are
/// half hours away from UTC.
const ZONES: [&str; 26] = [
    "America/New_York",
    "America/Los_Angeles",
    "America/Halifax",
    "America/Havana",
    "America/Santiago",
    "America/Asuncion",
    "America/Sao_Paulo",
    "America/Nuuk",
    "America/Scoresbysund",
    "Atlantic/Azores",
    "Europe/London",
    "Europe/Dublin",
    "Europe/Berlin",
    "Europe/Riga",
    "Europe/Chisinau",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Windhoek",
    "Asia/Beirut",
    "Asia/Jerusalem",
    "Asia/Tehran",
    "Asia/Kathmandu",
    "Australia/Sydney",
    "Australia/Adelaide",
    "Pacific/Auckland",
    "UTC",
];

/// What both oracles know.
pub fn any(seed: u64) -> impl Iterator<Item = Case> {
    let mut random = Rng::with_seed(seed);
    std::iter::repeat_with(move || {
        let random = &mut random;
        let zone = ZONES[random.usize(..ZONES.len())];
        let minute = field(random, 0, 59, 3);
        // Half of the hours are those in which clocks are changed.
        let hour = if random.bool() { field(random, 0, 3, 0) } else { field(random, 0, 23, 3) };
        let [day, month, weekday] = [field(random, 1, 31, 8), field(random, 1, 12, 9), weekday(random)];
        Case { expression: format!("{minute} {hour} {day} {month} {weekday}"), zone, start: start(random, zone) }
    })
    .filter(|case| pg_edge::domain::schedule::Schedule::parse(&case.expression).is_ok())
}

/// What only cronsim knows, in UTC, where it has no rule of its own.
pub fn special(seed: u64) -> impl Iterator<Item = Case> {
    let mut random = Rng::with_seed(seed);
    std::iter::repeat_with(move || {
        let random = &mut random;
        let [minute, hour, month] = [field(random, 0, 59, 4), random.u8(0..24).to_string(), field(random, 1, 12, 7)];
        let day = match random.u8(0..4) {
            0 => "L".to_owned(),
            1 => "LW".to_owned(),
            2 => format!("{},L", random.u8(1..29)),
            _ => "*".to_owned(),
        };
        let weekday = match random.u8(0..5) {
            0 => format!("{}L", random.u8(0..8)),
            1 => format!("{}#{}", random.u8(0..8), random.u8(1..6)),
            2 => format!("{}#{},{}L", random.u8(0..7), random.u8(1..6), random.u8(0..7)),
            _ => weekday(random),
        };
        let seconds = if random.bool() { format!("{} ", field(random, 0, 59, 3)) } else { String::new() };
        let expression = format!("{seconds}{minute} {hour} {day} {month} {weekday}");
        Case { expression, zone: "UTC", start: start(random, "UTC") }
    })
    .filter(|case| pg_edge::domain::schedule::Schedule::parse(&case.expression).is_ok())
}

/// Mostly a day or so before the clock is changed; else at any time.
fn start(random: &mut Rng, zone: &str) -> i64 {
    let (from, to) = (second("2000-01-01T00:00:00Z"), second("2037-12-01T00:00:00Z"));
    let changes: Vec<i64> = Table::named(zone).changes().filter(|at| (from..to).contains(at)).collect();
    match random.choice(&changes) {
        Some(change) if random.u8(0..10) < 8 => change + random.i64(-30 * 3600..4 * 3600),
        _ => random.i64(from..to),
    }
}

/// A field; `stars` times in ten it is a star.
fn field(random: &mut Rng, low: u8, high: u8, stars: u8) -> String {
    if random.u8(0..10) < stars {
        return "*".to_owned();
    }
    let n = random.u8(1..4);
    match random.u8(0..8) {
        0..4 => random.u8(low..=high).to_string(),
        4 => list((0..=n).map(|_| random.u8(low..=high).to_string())),
        5 => format!("*/{}", random.u8(1..=high.max(4))),
        6 => range(random, low, high),
        _ => list((0..n).map(|_| range(random, low, high))),
    }
}

/// A range, half of the time with a step. Both ends differ: one oracle takes `5-5/2` for `5/2`.
fn range(random: &mut Rng, low: u8, high: u8) -> String {
    let first = random.u8(low..high);
    let last = random.u8(first + 1..=high);
    match random.bool() {
        true => format!("{first}-{last}"),
        false => format!("{first}-{last}/{}", random.u8(1..=(last - first))),
    }
}

fn weekday(random: &mut Rng) -> String {
    const NAMES: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    match random.u8(0..10) {
        0..6 => "*".to_owned(),
        6 => NAMES[random.usize(..7)].to_owned(),
        7 => "mon-fri".to_owned(),
        _ => field(random, 0, 7, 0),
    }
}

fn list(entries: impl Iterator<Item = String>) -> String {
    entries.collect::<Vec<_>>().join(",")
}
