//! When schedules are due where the clock is changed, worked out by hand.

use pg_edge::domain::moment::Moment;
use pg_edge::domain::schedule::{Dst, Schedule, Timing};

use crate::zones::{Table, second, shown};

const NEW_YORK: &str = "America/New_York";
const LORD_HOWE: &str = "Australia/Lord_Howe";
const TROLL: &str = "Antarctica/Troll";

/// What the clock shows at the next `n` slots after a moment, with its offset.
fn due(text: &str, zone: &str, dst: Dst, after: &str, n: usize) -> Vec<String> {
    let schedule = Schedule::parse(text).unwrap();
    let zone = Table::named(zone);
    let timing = Timing { schedule: &schedule, zone, dst, anchor: Moment::from_seconds(0) };
    let first = timing.next_after(Moment::from_seconds(second(after)));
    std::iter::successors(first, |last| timing.next_after(*last)).take(n).map(|slot| shown(zone, slot)).collect()
}

#[track_caller]
fn expect(text: &str, zone: &str, dst: Dst, after: &str, slots: &[&str]) {
    assert_eq!(due(text, zone, dst, after, slots.len()), slots, "{text} in {zone}, {dst:?}");
}

#[track_caller]
fn expect_always(text: &str, zone: &str, after: &str, slots: &[&str]) {
    for dst in [Dst::Vixie, Dst::Skip, Dst::Literal] {
        expect(text, zone, dst, after, slots);
    }
}

#[test]
fn a_fixed_time_in_a_gap_is_made_up_for_once_right_after_it() {
    let before = "2026-03-08T00:00:00-05:00";
    let (next, regular) = ("03-09T02:30:00-04", "03-10T02:30:00-04");
    expect("30 2 * * *", NEW_YORK, Dst::Vixie, before, &["03-08T03:00:00-04", next, regular]);
    expect("30 2 * * *", NEW_YORK, Dst::Skip, before, &[next, regular]);
    expect("30 2 * * *", NEW_YORK, Dst::Literal, before, &[next, regular]);
}

#[test]
fn several_slots_in_a_gap_are_one_run_and_one_with_a_slot_at_its_end() {
    let before = "2026-03-08T00:00:00-05:00";
    expect(
        "15,45 2 * * *",
        NEW_YORK,
        Dst::Vixie,
        before,
        &["03-08T03:00:00-04", "03-09T02:15:00-04", "03-09T02:45:00-04"],
    );
    expect(
        "0 1,2,3,4 * * *",
        NEW_YORK,
        Dst::Vixie,
        before,
        &["03-08T01:00:00-05", "03-08T03:00:00-04", "03-08T04:00:00-04"],
    );
    expect(
        "30 1-3 * * *",
        NEW_YORK,
        Dst::Vixie,
        before,
        &["03-08T01:30:00-05", "03-08T03:00:00-04", "03-08T03:30:00-04"],
    );
    expect(
        "0,30 2,3 * * *",
        NEW_YORK,
        Dst::Skip,
        before,
        &["03-08T03:00:00-04", "03-08T03:30:00-04", "03-09T02:00:00-04"],
    );
    expect("15 30 2 * * *", NEW_YORK, Dst::Vixie, before, &["03-08T03:00:00-04", "03-09T02:30:15-04"]);
}

#[test]
fn a_fixed_time_that_comes_twice_runs_in_its_first_pass() {
    let before = "2026-11-01T00:00:00-04:00";
    for dst in [Dst::Vixie, Dst::Skip] {
        expect("30 1 * * *", NEW_YORK, dst, before, &["11-01T01:30:00-04", "11-02T01:30:00-05"]);
        expect(
            "40,50 1 * * *",
            NEW_YORK,
            dst,
            before,
            &["11-01T01:40:00-04", "11-01T01:50:00-04", "11-02T01:40:00-05"],
        );
        expect("0 0-3 * * *", NEW_YORK, dst, before, &["11-01T01:00:00-04", "11-01T02:00:00-05", "11-01T03:00:00-05"]);
        // Asked in the middle of the second pass, too.
        expect("30 1 * * *", NEW_YORK, dst, "2026-11-01T01:10:00-05:00", &["11-02T01:30:00-05"]);
    }
    expect(
        "30 1 * * *",
        NEW_YORK,
        Dst::Literal,
        before,
        &["11-01T01:30:00-04", "11-01T01:30:00-05", "11-02T01:30:00-05"],
    );
    expect(
        "40,50 1 * * *",
        NEW_YORK,
        Dst::Literal,
        before,
        &["11-01T01:40:00-04", "11-01T01:50:00-04", "11-01T01:40:00-05", "11-01T01:50:00-05"],
    );
}

#[test]
fn a_job_with_a_star_follows_real_time() {
    let spring = "2026-03-08T01:20:00-05:00";
    let autumn = "2026-11-01T01:20:00-04:00";
    expect_always("*/30 * * * *", NEW_YORK, spring, &["03-08T01:30:00-05", "03-08T03:00:00-04", "03-08T03:30:00-04"]);
    expect_always("*/30 2 * * *", NEW_YORK, spring, &["03-09T02:00:00-04", "03-09T02:30:00-04"]);
    expect_always("30 */2 * * *", NEW_YORK, spring, &["03-08T04:30:00-04"]);
    expect_always(
        "*/30 * * * *",
        NEW_YORK,
        autumn,
        &["11-01T01:30:00-04", "11-01T01:00:00-05", "11-01T01:30:00-05", "11-01T02:00:00-05"],
    );
    expect_always(
        "*/30 1 * * *",
        NEW_YORK,
        autumn,
        &["11-01T01:30:00-04", "11-01T01:00:00-05", "11-01T01:30:00-05", "11-02T01:00:00-05"],
    );
    expect_always(
        "* 30 1 * * *",
        NEW_YORK,
        "2026-11-01T01:30:58-04:00",
        &["11-01T01:30:59-04", "11-01T01:30:00-05", "11-01T01:30:01-05"],
    );
}

#[test]
fn berlin_changes_its_clock_at_two_and_at_three() {
    let zone = "Europe/Berlin";
    expect("30 2 * * *", zone, Dst::Vixie, "2026-03-28T12:00:00Z", &["03-29T03:00:00+02", "03-30T02:30:00+02"]);
    expect("30 2 * * *", zone, Dst::Vixie, "2026-10-24T12:00:00Z", &["10-25T02:30:00+02", "10-26T02:30:00+01"]);
    expect("30 2 * * *", zone, Dst::Literal, "2026-10-24T12:00:00Z", &["10-25T02:30:00+02", "10-25T02:30:00+01"]);
    // Right before the gap there is nothing unusual.
    expect("30 1 * * *", zone, Dst::Vixie, "2026-03-28T12:00:00Z", &["03-29T01:30:00+01", "03-30T01:30:00+02"]);
}

#[test]
fn lord_howe_changes_its_clock_by_half_an_hour() {
    let (spring, autumn) = ("2026-10-03T02:00:00Z", "2026-04-04T02:00:00Z");
    expect(
        "15,45 1,2 * * *",
        LORD_HOWE,
        Dst::Vixie,
        spring,
        &["10-04T01:15:00+10:30", "10-04T01:45:00+10:30", "10-04T02:30:00+11", "10-04T02:45:00+11"],
    );
    expect("15 2 * * *", LORD_HOWE, Dst::Skip, spring, &["10-05T02:15:00+11"]);
    expect(
        "15,45 1,2 * * *",
        LORD_HOWE,
        Dst::Vixie,
        autumn,
        &["04-05T01:15:00+11", "04-05T01:45:00+11", "04-05T02:15:00+10:30", "04-05T02:45:00+10:30"],
    );
    expect(
        "45 1 * * *",
        LORD_HOWE,
        Dst::Literal,
        autumn,
        &["04-05T01:45:00+11", "04-05T01:45:00+10:30", "04-06T01:45:00+10:30"],
    );
    expect_always(
        "*/15 1 * * *",
        LORD_HOWE,
        "2026-04-05T01:20:00+11:00",
        &[
            "04-05T01:30:00+11",
            "04-05T01:45:00+11",
            "04-05T01:30:00+10:30",
            "04-05T01:45:00+10:30",
            "04-06T01:00:00+10:30",
        ],
    );
    expect_always("0 * * * *", LORD_HOWE, autumn, &["04-04T14:00:00+11"]);
    expect_always("0 * * * *", LORD_HOWE, "2026-04-05T01:20:00+11:00", &["04-05T02:00:00+10:30"]);
    expect_always("0 * * * *", LORD_HOWE, "2026-10-04T01:20:00+10:30", &["10-04T03:00:00+11"]);
}

#[test]
fn troll_changes_its_clock_by_two_hours() {
    let (spring, autumn) = ("2026-03-28T20:00:00Z", "2026-10-24T20:00:00Z");
    expect(
        "30 1,2,3 * * *",
        TROLL,
        Dst::Vixie,
        spring,
        &["03-29T03:00:00+02", "03-29T03:30:00+02", "03-30T01:30:00+02"],
    );
    expect("30 1,2,3 * * *", TROLL, Dst::Skip, spring, &["03-29T03:30:00+02", "03-30T01:30:00+02"]);
    expect(
        "30 1,2,3 * * *",
        TROLL,
        Dst::Vixie,
        autumn,
        &["10-25T01:30:00+02", "10-25T02:30:00+02", "10-25T03:30:00+00", "10-26T01:30:00+00"],
    );
    expect_always(
        "30 * * * *",
        TROLL,
        "2026-10-25T00:40:00+02:00",
        &["10-25T01:30:00+02", "10-25T02:30:00+02", "10-25T01:30:00+00", "10-25T02:30:00+00", "10-25T03:30:00+00"],
    );
}

#[test]
fn casablanca_turns_its_clock_back_for_ramadan_and_forward_after_it() {
    let zone = "Africa/Casablanca";
    // 2025-02-23 03:00 became 02:00, and 2025-04-06 02:00 became 03:00.
    expect("30 2 * * *", zone, Dst::Vixie, "2025-02-22T12:00:00Z", &["02-23T02:30:00+01", "02-24T02:30:00+00"]);
    expect("30 2 * * *", zone, Dst::Vixie, "2025-04-05T12:00:00Z", &["04-06T03:00:00+01", "04-07T02:30:00+01"]);
    expect("30 2 * * *", zone, Dst::Skip, "2025-04-05T12:00:00Z", &["04-07T02:30:00+01"]);
}

#[test]
fn cairo_has_no_midnight_on_a_day_in_spring() {
    let zone = "Africa/Cairo";
    // 2025-04-25 began at 01:00; on 2025-10-30 the last hour of the day came twice.
    expect("0 0 * * *", zone, Dst::Vixie, "2025-04-24T12:00:00Z", &["04-25T01:00:00+03", "04-26T00:00:00+03"]);
    expect("0 0 25 4 *", zone, Dst::Vixie, "2025-01-01T00:00:00Z", &["04-25T01:00:00+03"]);
    expect("0 0 25 4 *", zone, Dst::Skip, "2025-01-01T00:00:00Z", &["04-25T00:00:00+03"]);
    expect("30 23 * * *", zone, Dst::Vixie, "2025-10-30T12:00:00Z", &["10-30T23:30:00+03", "10-31T23:30:00+02"]);
    expect("0 0 * * *", zone, Dst::Vixie, "2025-10-30T12:00:00Z", &["10-31T00:00:00+02", "11-01T00:00:00+02"]);
}

#[test]
fn a_day_that_a_country_left_out_is_made_up_for_when_the_next_begins() {
    let (apia, before) = ("Pacific/Apia", "2011-12-29T06:00:00-10:00");
    // There was no Friday 30 December.
    expect("0 9 * * *", apia, Dst::Vixie, before, &["12-29T09:00:00-10", "12-31T00:00:00+14", "12-31T09:00:00+14"]);
    expect("0 9 * * *", apia, Dst::Skip, before, &["12-29T09:00:00-10", "12-31T09:00:00+14"]);
    expect("0 9 * * *", apia, Dst::Literal, before, &["12-29T09:00:00-10", "12-31T09:00:00+14"]);
    expect("0 9 * * fri", apia, Dst::Vixie, before, &["12-31T00:00:00+14", "01-06T09:00:00+14"]);
    expect("0 0 * * *", apia, Dst::Vixie, before, &["12-31T00:00:00+14", "01-01T00:00:00+14"]);
    expect_always("0 */12 * * *", apia, before, &["12-29T12:00:00-10", "12-31T00:00:00+14", "12-31T12:00:00+14"]);
    expect(
        "0 9 * * *",
        "Pacific/Kiritimati",
        Dst::Vixie,
        "1994-12-30T06:00:00-10:00",
        &["12-30T09:00:00-10", "01-01T00:00:00+14", "01-01T09:00:00+14"],
    );
    expect(
        "0 9 * * *",
        "Pacific/Kwajalein",
        Dst::Vixie,
        "1993-08-20T00:00:00-12:00",
        &["08-20T09:00:00-12", "08-22T00:00:00+12", "08-22T09:00:00+12"],
    );
}

#[test]
fn a_change_of_three_hours_is_one_like_any_other() {
    let (casey, before) = ("Antarctica/Casey", "2010-03-04T22:00:00+11:00");
    expect(
        "30 23,0,1,2 * * *",
        casey,
        Dst::Vixie,
        before,
        &["03-04T23:30:00+11", "03-05T00:30:00+11", "03-05T01:30:00+11", "03-05T02:30:00+08", "03-05T23:30:00+08"],
    );
    expect_always(
        "30 */1 * * *",
        casey,
        "2010-03-05T00:40:00+11:00",
        &["03-05T01:30:00+11", "03-04T23:30:00+08", "03-05T00:30:00+08", "03-05T01:30:00+08", "03-05T02:30:00+08"],
    );
    // On 2009-10-18 the clock went from 02:00 to 05:00.
    expect(
        "30 2,3,4 * * *",
        casey,
        Dst::Vixie,
        "2009-10-18T00:00:00+08:00",
        &["10-18T05:00:00+11", "10-19T02:30:00+11"],
    );
    expect("30 2,3,4 * * *", casey, Dst::Skip, "2009-10-18T00:00:00+08:00", &["10-19T02:30:00+11"]);
}

#[test]
fn a_day_that_came_twice_runs_its_fixed_times_once() {
    // Sitka had its Friday 18 October 1867 twice when it changed hands.
    expect(
        "0 17 * 10 *",
        "America/Sitka",
        Dst::Vixie,
        "1867-10-17T20:00:00Z",
        &["10-18T17:00:00+14:58:47", "10-19T17:00:00-09:01:13"],
    );
}

#[test]
fn a_change_need_not_be_on_the_hour() {
    // Until 2011 the clock of St John's went from 00:01 to 01:01, and back.
    let zone = "America/St_Johns";
    let (spring, autumn) = ("2001-03-31T12:00:00Z", "2001-10-27T12:00:00Z");
    expect(
        "0,1,30 0,1 * * *",
        zone,
        Dst::Vixie,
        spring,
        &["04-01T00:00:00-03:30", "04-01T01:01:00-02:30", "04-01T01:30:00-02:30"],
    );
    expect_always("*/30 0,1 * * *", zone, spring, &["04-01T00:00:00-03:30", "04-01T01:30:00-02:30"]);
    expect(
        "0,1,30 0 * * *",
        zone,
        Dst::Vixie,
        autumn,
        &["10-28T00:00:00-02:30", "10-28T00:01:00-03:30", "10-28T00:30:00-03:30"],
    );
    expect("30 23 * * *", zone, Dst::Vixie, autumn, &["10-27T23:30:00-02:30", "10-28T23:30:00-03:30"]);
    expect("30 23 * * *", zone, Dst::Literal, autumn, &["10-27T23:30:00-02:30", "10-27T23:30:00-03:30"]);
}

#[test]
fn where_the_clock_is_never_changed_nothing_happens() {
    expect_always(
        "30 2 * * *",
        "Asia/Kathmandu",
        "2026-03-28T00:00:00Z",
        &["03-29T02:30:00+05:45", "03-30T02:30:00+05:45"],
    );
    expect_always("59 59 23 31 12 *", "Etc/UTC", "2026-03-28T00:00:00Z", &["12-31T23:59:59+00"]);
}
