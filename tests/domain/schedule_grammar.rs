//! How schedules are written, what is refused, and what is said then.

use pg_edge::domain::moment::Moment;
use pg_edge::domain::schedule::{Dst, Kind, Schedule};

fn refusal(text: &str) -> String {
    Schedule::parse(text).expect_err(text).to_string()
}

#[test]
fn every_form_of_a_schedule_is_read() {
    for (text, kind) in [
        ("* * * * *", Kind::Cron),
        ("0 9 * * mon-fri", Kind::Cron),
        ("  5\t4  *  *   * ", Kind::Cron),
        ("05 04 01 01 *", Kind::Cron),
        ("0,15,30-45/5 */6 1-7 JAN,mar-Jun Sun,tue-THU", Kind::Cron),
        ("*,10 * * * *", Kind::Cron),
        ("*/90 * * * *", Kind::Cron),
        ("0-59/70 * * * *", Kind::Cron),
        ("0 0 * * 7", Kind::Cron),
        ("0 0 * * 0-7", Kind::Cron),
        ("0 0 L * *", Kind::Cron),
        ("0 0 $ * *", Kind::Cron),
        ("0 0 1,l,15w,LW * *", Kind::Cron),
        ("0 0 * * 5#2", Kind::Cron),
        ("0 0 * * fri#5,monL,2", Kind::Cron),
        ("0 0 29 2 *", Kind::Cron),
        ("0 0 31 */2 *", Kind::Cron),
        ("*/10 * * * * *", Kind::Cron),
        ("30 0 9 * * *", Kind::Cron),
        ("@hourly", Kind::Cron),
        ("@daily", Kind::Cron),
        ("@midnight", Kind::Cron),
        ("@weekly", Kind::Cron),
        ("@monthly", Kind::Cron),
        ("@yearly", Kind::Cron),
        ("@annually", Kind::Cron),
        ("@reboot", Kind::Reboot),
        ("@restart", Kind::Reboot),
        ("every second", Kind::Every),
        ("every 10 seconds", Kind::Every),
        ("Every  1  Minute", Kind::Every),
        ("every hour", Kind::Every),
        ("every 8784 hours", Kind::Every),
        ("1 second", Kind::Every),
        ("59 seconds", Kind::Every),
        (" 10  SECONDS ", Kind::Every),
        ("at 2026-12-01 09:00", Kind::At),
        ("AT 2026-12-01T09:00:30", Kind::At),
        ("at 2026-12-01 09:00:30.25", Kind::At),
        ("at 2026-12-01 09:00Z", Kind::At),
        ("at  2026-12-01T09:00:00+01:00", Kind::At),
    ] {
        let schedule = Schedule::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(schedule.kind(), kind, "{text}");
    }
}

#[test]
fn two_ways_to_write_the_same_are_the_same() {
    for (one, other) in [
        ("0 0 * * 7", "0 0 * * sun"),
        ("0 0 * * 5-7", "0 0 * * 0,5,6"),
        ("0 0 * * 0-7", "0 0 * * 0-6"),
        ("0 0 $ * *", "0 0 L * *"),
        ("0 * * * *", "@hourly"),
        ("0 0 * * *", "@midnight"),
        ("0 0 * * *", "@daily"),
        ("0 0 * * 0", "@weekly"),
        ("0 0 1 * *", "@monthly"),
        ("0 0 1 1 *", "@yearly"),
        ("0 0 1 1 *", "@annually"),
        ("@reboot", "@restart"),
        ("0 9 1 jan,feb *", "0 9 1 1-2 *"),
        ("0 30 9 * * *", "30 9 * * *"),
        ("*,10 * * * *", "* * * * *"),
        ("every 2 minutes", "every 120 seconds"),
        ("every 1 hour", "every hour"),
        ("10 seconds", "every 10 seconds"),
        ("at 2026-12-01 09:00Z", "at 2026-12-01T10:00:00+01:00"),
    ] {
        assert_eq!(Schedule::parse(one).unwrap(), Schedule::parse(other).unwrap(), "{one} and {other}");
    }
}

#[test]
fn a_refusal_names_the_field_and_what_would_be_right() {
    let hours = "0 to 23, such as 9, 9-17 or */6";
    let minutes = "0 to 59, such as 30, 0,30 or */15";
    for (text, said) in [
        ("0 25 * * *", format!("the hour field \"25\" has 25 in it, which is out of range: {hours}")),
        ("60 * * * *", format!("the minute field \"60\" has 60 in it, which is out of range: {minutes}")),
        ("0 9,24 * * *", format!("the hour field \"9,24\" has 24 in it, which is out of range: {hours}")),
        (
            "0 22-2 * * *",
            format!(
                "the hour field \"22-2\" has the range 22-2 in it, which ends before it begins; write 22-23,0-2: {hours}"
            ),
        ),
        (
            "*/0 * * * *",
            format!(
                "the minute field \"*/0\" has the step 0 in it, but a step is a whole number of at least 1: {minutes}"
            ),
        ),
        (
            "*/x * * * *",
            format!(
                "the minute field \"*/x\" has the step x in it, but a step is a whole number of at least 1: {minutes}"
            ),
        ),
        (
            "1/20 * * * *",
            format!(
                "the minute field \"1/20\" has a step in \"1/20\" but no range that it goes through, which would be * or a range such as 1-59: {minutes}"
            ),
        ),
        ("1,,2 * * * *", format!("the minute field \"1,,2\" has nothing before or after a comma: {minutes}")),
        ("nine * * * *", format!("the minute field \"nine\" has \"nine\" in it, which it does not know: {minutes}")),
        ("70 * * * * *", format!("the seconds field \"70\" has 70 in it, which is out of range: {minutes}")),
    ] {
        assert_eq!(refusal(text), said);
    }
}

#[test]
fn a_range_that_ends_on_sunday_is_told_how_to_be_written() {
    let said = refusal("0 0 * * sat-Sun");
    assert!(said.contains("the range sat-Sun in it, but Sunday is day 0 and begins the week; write 6-7: "), "{said}");
}

#[test]
fn the_part_that_is_wrong_is_named_and_a_way_out_with_it() {
    for (text, said) in [
        ("-1 * * * *", "has \"-1\" in it, but a range is two values"),
        ("5- * * * *", "has \"5-\" in it, but a range is two values"),
        ("1-5-7 * * * *", "has \"1-5-7\" in it, but a range is two values"),
        ("0 0 L-3 * *", "has \"L-3\" in it, but L stands by itself"),
        ("0 0 W * *", "has \"W\" in it"),
        ("0 0 * * #2", "has \"#2\" in it"),
        ("/5 * * * *", "has \"/5\" in it"),
        ("0 0 * * fri-mon", "the range fri-mon in it, which ends before it begins; write 5-6,0-1"),
        ("0 22-4 * * *", "the range 22-4 in it, which ends before it begins; write 22-23,0-4"),
        ("digest", "\"digest\" has 1 field; a schedule has 5"),
        ("every day", "for days, \"0 9 * * *\" or \"@daily\""),
        ("every 2 days", "such as \"every 10 seconds\" or \"every 48 hours\""),
    ] {
        assert!(refusal(text).contains(said), "{text}: {}", refusal(text));
    }
    assert!(Schedule::parse("0 0 * * 5-6,0-1").is_ok() && Schedule::parse("0 22-23,0-4 * * *").is_ok());
}

#[test]
fn what_no_cron_takes_is_refused() {
    for (text, field) in [
        ("1, * * * *", "minute"),
        (",1 * * * *", "minute"),
        ("-5 * * * *", "minute"),
        ("5- * * * *", "minute"),
        ("1-2-3 * * * *", "minute"),
        ("+5 * * * *", "minute"),
        ("*/+5 * * * *", "minute"),
        ("*/ * * * *", "minute"),
        ("*5 * * * *", "minute"),
        ("** * * * *", "minute"),
        ("5x * * * *", "minute"),
        ("256 * * * *", "minute"),
        ("99999999999999999999 * * * *", "minute"),
        ("*/99999999999999999999999 * * * *", "minute"),
        ("5-64/30 * * * *", "minute"),
        ("? * * * *", "minute"),
        ("1.5 * * * *", "minute"),
        ("5L * * * *", "minute"),
        ("٣ * * * *", "minute"),
        ("0 jan * * *", "hour"),
        ("0 9#1 * * *", "hour"),
        ("0 0 0 * *", "day-of-month"),
        ("0 0 32 * *", "day-of-month"),
        ("0 0 ? * *", "day-of-month"),
        ("0 0 L-3 * *", "day-of-month"),
        ("0 0 W * *", "day-of-month"),
        ("0 0 32W * *", "day-of-month"),
        ("0 0 1-5W * *", "day-of-month"),
        ("0 0 WL * *", "day-of-month"),
        ("0 0 mon * *", "day-of-month"),
        ("0 0 1 0 *", "month"),
        ("0 0 1 13 *", "month"),
        ("0 0 1 january *", "month"),
        ("0 0 1 dec-jan *", "month"),
        ("0 0 * * 8", "day-of-week"),
        ("0 0 * * fri-mon", "day-of-week"),
        ("0 0 * * fri-sun", "day-of-week"),
        ("0 0 * * 5#0", "day-of-week"),
        ("0 0 * * 5#6", "day-of-week"),
        ("0 0 * * 5#", "day-of-week"),
        ("0 0 * * 5#L", "day-of-week"),
        ("0 0 * * L", "day-of-week"),
        ("0 0 * * 8L", "day-of-week"),
        ("0 0 * * monday", "day-of-week"),
        ("0 0 * * mon,", "day-of-week"),
    ] {
        let said = refusal(text);
        assert!(said.starts_with(&format!("the {field} field ")), "{text}: {said}");
        assert!(said.contains("such as"), "{text}: {said}");
    }
}

#[test]
fn an_expression_needs_five_or_six_fields() {
    for text in ["0 9 * *", "hello", "9:00", "* * * * * * *", "0 9 * * * 2026 x", "10 seconds ago"] {
        let said = refusal(text);
        assert!(said.contains("a schedule has 5, minute hour day-of-month month day-of-week"), "{text}: {said}");
    }
    // What pg_cron ignores behind the fifth field is taken as a sixth, with the seconds first.
    assert!(refusal("0 9 * * mon 2026").starts_with("the month field \"mon\""));
}

#[test]
fn a_dollar_stands_alone() {
    for text in ["0 0 $,5 * *", "0 0 5,$ * *", "0 0 $$ * *", "0 0 1-$ * *"] {
        assert!(refusal(text).contains("L goes into a list"), "{text}: {}", refusal(text));
    }
    assert!(refusal("$ * * * *").starts_with("the minute field"));
}

#[test]
fn a_day_that_never_comes_is_said_to_be_so() {
    for text in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 30,31 feb */2", "0 0 31W 4 *", "* * 0 31 6 *"] {
        let said = refusal(text);
        assert!(said.starts_with(&format!("\"{text}\" never runs")), "{text}: {said}");
    }
    // With either of two day fields, the other one still means days; and rare is not never.
    for text in ["0 0 30 2 1", "0 0 29 2 *", "0 0 29 2 */7"] {
        assert!(Schedule::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn intervals_have_bounds_and_units() {
    for text in ["every 0 seconds", "every 8785 hours", "every 99999999999999999999999 hours"] {
        assert!(refusal(text).contains("must be from 1 second to 366 days"), "{text}: {}", refusal(text));
    }
    for text in
        ["every", "every 5", "every 5 days", "every -5 seconds", "every 1.5 hours", "every 5 s", "every 5 seconds x"]
    {
        assert!(refusal(text).contains("is no interval; write every N seconds"), "{text}: {}", refusal(text));
    }
    for text in ["0 seconds", "60 seconds", "60 second", "99999999999999999999999 seconds"] {
        assert!(refusal(text).contains("must be from 1 to 59 seconds, as with pg_cron"), "{text}: {}", refusal(text));
    }
}

#[test]
fn a_single_time_must_be_one() {
    for text in [
        "at",
        "at noon",
        "at 2026-12-01",
        "at 09:00",
        "at 2026-02-30 09:00",
        "at 2026-12-01 25:00",
        "at 2026-12-01 09:00 x",
    ] {
        assert!(refusal(text).contains("names no time; write at DATE TIME"), "{text}: {}", refusal(text));
    }
    for text in ["at 2026-12-01T09:00[Europe/Berlin]", "at 2026-12-01T09:00+01:00[Europe/Berlin]"] {
        assert!(refusal(text).contains("the zone as the schedule's timezone"), "{text}: {}", refusal(text));
    }
}

#[test]
fn other_things_are_refused_by_name() {
    assert!(refusal("").starts_with("a schedule is empty"));
    assert!(refusal(" \t ").starts_with("a schedule is empty"));
    assert!(refusal("@fortnightly").starts_with("there is no schedule \"@fortnightly\"; there are @hourly"));
    assert!(refusal("@every 5m").starts_with("there is no schedule"));
    assert_eq!(refusal(&"1,".repeat(501)), "a schedule has at most 1000 characters, not 1002");
    assert_eq!(Dst::parse("none").unwrap_err().to_string(), "dst must be vixie, skip or literal, not \"none\"");
    for rule in [Dst::Vixie, Dst::Skip, Dst::Literal] {
        assert_eq!(Dst::parse(rule.as_str()), Ok(rule));
    }
}

#[test]
fn a_star_for_minute_hour_or_seconds_makes_a_job_follow_real_time() {
    for (text, follows) in [
        ("30 2 * * *", false),
        ("0 0,6 * * *", false),
        ("0 0-23 * * *", false),
        ("30 * * * *", true),
        ("*/5 2 * * *", true),
        ("0 */2 * * *", true),
        ("*,5 2 * * *", true),
        ("0 30 2 * * *", false),
        ("0-59 30 2 * * *", false),
        ("* 30 2 * * *", true),
        ("every 10 minutes", true),
        ("at 2026-12-01 09:00", false),
        ("@reboot", false),
    ] {
        assert_eq!(Schedule::parse(text).unwrap().follows_real_time(), follows, "{text}");
    }
}

#[test]
fn moments_reach_before_1970_and_stop_at_their_ends() {
    use std::time::Duration;
    assert_eq!(Moment::from_micros(-1).seconds(), -1);
    assert_eq!(Moment::from_micros(-1_000_001).seconds(), -2);
    assert_eq!(Moment::from_seconds(-2).micros(), -2_000_000);
    assert_eq!(Moment::from_seconds(i64::MAX), Moment::from_micros(i64::MAX));
    assert_eq!(Moment::from_micros(i64::MIN).saturating_sub(Duration::MAX), Moment::from_micros(i64::MIN));
    assert_eq!(Moment::from_micros(-5).saturating_add(Duration::from_micros(7)), Moment::from_micros(2));
}
