//! docs/platforms.md says of each limit and each error what the tables in the code say, and of none that is not there.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use pg_edge::domain::profile::advice::Advice;
use pg_edge::domain::profile::errors::{Code, ERRORS, KnownError};
use pg_edge::domain::profile::limits::PlatformLimits;
use pg_edge::domain::profile::{Platform, Profile};

const PAGE: &str = include_str!("../../docs/platforms.md");

/// The cells of the table under a heading, without its head.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, section) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    rows.skip(2).map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn seconds(cell: &str) -> Option<Duration> {
    (!cell.is_empty()).then(|| Duration::from_secs(cell.strip_suffix(" s").unwrap().parse().unwrap()))
}

fn megabytes(cell: &str) -> Option<usize> {
    (!cell.is_empty()).then(|| cell.strip_suffix(" MB").unwrap().parse::<usize>().unwrap() * 1_000_000)
}

#[test]
fn the_page_has_the_limits_of_each_profile() {
    let mut told = BTreeSet::new();
    for row in table("Limits") {
        let [profiles, total, first_byte, idle, socket_age, body] = row.as_slice() else { panic!("{row:?}") };
        let limits = PlatformLimits {
            total: seconds(total),
            first_byte: seconds(first_byte),
            idle: seconds(idle),
            socket_age: seconds(socket_age),
            max_request_bytes: megabytes(body),
        };
        for name in quoted(profiles) {
            assert_eq!(Profile::parse(name).unwrap().limits(), limits, "{name}");
            assert!(told.insert(name), "{name} has two rows");
        }
    }
    assert_eq!(told, Profile::ALL.map(Profile::name).into_iter().collect());
}

/// A row of the page's table of errors.
struct Told {
    platforms: Vec<Platform>,
    statuses: Vec<RangeInclusive<u16>>,
    codes: Vec<Code>,
    advice: Advice,
}

impl Told {
    fn is_about(&self, known: &KnownError) -> bool {
        self.platforms.contains(&known.platform)
            && self.statuses.contains(&known.statuses)
            && self.codes.contains(&known.code)
    }
}

fn statuses(cell: &str) -> Vec<RangeInclusive<u16>> {
    if let Some((first, last)) = cell.split_once(" to ") {
        return (first.parse().unwrap()..=last.parse().unwrap()).map(|status| status..=status).collect();
    }
    let status = |part: &str| match part {
        "any" => 400..=599,
        "5xx" => 500..=599,
        one => one.parse().unwrap()..=one.parse().unwrap(),
    };
    cell.split(", ").map(status).collect()
}

/// The codes of a cell. "…" stands for the first word of the one before; what is no code is told by its status alone.
fn codes(cell: &'static str) -> Vec<Code> {
    let mut codes: Vec<Code> = Vec::new();
    for part in cell.split(", ") {
        let code = match quoted(part).first() {
            Some(header) if part.contains("the header") => header.split(':').next().unwrap(),
            Some(code) => match (code.strip_prefix('…'), codes.last()) {
                (Some(rest), Some(Code::Named(before))) => {
                    let whole = format!("{}{rest}", before.split('_').next().unwrap());
                    ERRORS.iter().find_map(|known| named(known).filter(|name| *name == whole)).unwrap_or("…")
                }
                _ => code,
            },
            None if part.starts_with(|first: char| first.is_ascii_digit()) => part.split(' ').next().unwrap(),
            None => {
                codes.push(Code::Any);
                continue;
            }
        };
        codes.push(Code::Named(code));
    }
    // Cloudflare's numbers are told apart by words as well: "1021 and 1042 what the Worker may not ask".
    let rest = cell.split(" and ").skip(1).filter_map(|part| part.split(' ').next());
    codes.extend(rest.filter(|word| word.parse::<u16>().is_ok()).map(Code::Named));
    codes
}

fn named(known: &KnownError) -> Option<&'static str> {
    match known.code {
        Code::Named(name) => Some(name),
        Code::Any => None,
    }
}

fn advice(cell: &str) -> Advice {
    if let Some((_, time)) = cell.split_once("not before ") {
        let (count, unit) = time.split_once(' ').unwrap();
        let count = if count == "an" { 1 } else { count.parse().unwrap() };
        let seconds = match unit {
            "s" => 1,
            "minutes" => 60,
            "hour" => 3600,
            other => panic!("a unit that is none: {other}"),
        };
        return Advice::NotBefore(Duration::from_secs(count * seconds));
    }
    match cell.split_once(" attempts at most") {
        Some((most, _)) => Advice::AtMost(most.parse().unwrap()),
        None if cell.starts_with("as the policy says") => Advice::AsThePolicySays,
        None if cell.starts_with("failed") => Advice::Final,
        None => panic!("nothing follows: {cell}"),
    }
}

fn told() -> Vec<Told> {
    let mut platforms = Vec::new();
    let rows = table("Errors").into_iter().map(|row| {
        let [platform, status, code, follows] = row.as_slice() else { panic!("{row:?}") };
        match *platform {
            "Supabase" => platforms = vec![Platform::Supabase],
            "Cloudflare" => platforms = vec![Platform::Cloudflare],
            "both" => platforms = vec![Platform::Supabase, Platform::Cloudflare],
            other => assert_eq!(other, "", "a platform that is none"),
        }
        let (statuses, codes, advice) = (statuses(status), codes(code), advice(follows));
        Told { platforms: platforms.clone(), statuses, codes, advice }
    });
    rows.collect()
}

#[test]
fn the_page_has_each_error_once_with_what_follows() {
    let told = told();
    for known in &ERRORS {
        let rows: Vec<&Told> = told.iter().filter(|row| row.is_about(known)).collect();
        let [row] = rows.as_slice() else { panic!("{} rows are about {known:?}", rows.len()) };
        assert_eq!(row.advice, known.advice, "{known:?}");
    }
}

#[test]
fn the_page_has_no_error_that_is_not_known() {
    for row in told() {
        for code in &row.codes {
            let is_known = |known: &KnownError| known.code == *code && row.is_about(known);
            assert!(ERRORS.iter().any(is_known), "{code:?}");
        }
        for statuses in &row.statuses {
            let is_known = |known: &KnownError| known.statuses == *statuses && row.is_about(known);
            assert!(ERRORS.iter().any(is_known), "{statuses:?}");
        }
    }
}
