//! Schedules in every time zone of the server, from 2020 to 2040.

use crate::harness::{Cluster, Db};

/// Zones by their names, but for those that `AT TIME ZONE` takes for an abbreviation; where in time each of them has another
/// offset than eight days before (no clock is changed twice within that time); and one zone of each kind.
const ZONES: &str = "
    create temp table zone as
        select name from pg_timezone_names where upper(name) not in (select abbrev from pg_timezone_abbrevs);
    create temp table week as
        select name, week, is_now, lag(is_now) over (partition by name order by week) as was
        from (select name, week, (week at time zone name) - (week at time zone 'UTC') as is_now
              from zone, generate_series('2019-12-20 00:00+00'::timestamptz, '2041-01-20 00:00+00', '8 days') as week) as offsets;
    create temp table kind as
        select min(name) as name from (
            select name, array_agg((week, is_now) order by week) filter (where was <> is_now or was is null) as changes from week group by name
        ) as each group by changes";

/// The minutes in which the clocks of these zones are changed, each change once.
const CHANGES: &str = "
    create temp table change as
        select row_number() over () as id, name, minute from (
            select distinct on (day, was, is_now) name, day, is_now
            from (select name, day, is_now, lag(is_now) over (partition by name, week order by day) as was
                  from (select name, week, day, (day at time zone name) - (day at time zone 'UTC') as is_now
                        from week join kind using (name),
                             generate_series(week - interval '8 days', week, '1 day') as day
                        where was <> week.is_now) as days) as offsets
            where was <> is_now order by day, was, is_now, name
        ) as changes, lateral (
            select min(at) as minute from generate_series(day - interval '1 day', day, '1 minute') as at
            where (at at time zone name) - (at at time zone 'UTC') = is_now
        ) as minutes";

/// What the clock shows in the days around a change, and what it had shown at most before: in minutes, every quarter of an
/// hour, which is as fine as offsets are, and right after the change, which may come at one past midnight.
const CLOCK: &str = "
    create temp table clock as
        select id, at, clock, max(clock) over (partition by id order by at rows between unbounded preceding and 1 preceding) as shown
        from (select id, at, (extract(epoch from at at time zone name) / 60)::bigint as clock
              from (select id, name, at from change, generate_series(
                        date_trunc('hour', minute) - interval '60 hours', minute + interval '36 hours', '15 minutes') as at
                    union select id, name, minute from change) as moments) as clocks";

/// An expression as it is written, and as minutes of the day.
struct Expression {
    text: &'static str,
    minutes: &'static str,
    /// Whether the rule for clock changes plays a part.
    fixed: bool,
}

const EXPRESSIONS: [Expression; 5] = [
    Expression { text: "30 2 * * *", minutes: "{150}", fixed: true },
    Expression { text: "0 0 * * *", minutes: "{0}", fixed: true },
    Expression { text: "15,45 0-3,23 * * *", minutes: "{15,45,75,105,135,165,195,225,1395,1425}", fixed: true },
    Expression { text: "*/30 2 * * *", minutes: "{120,150}", fixed: false },
    Expression { text: "0 */3 * * *", minutes: "{0,180,360,540,720,900,1080,1260}", fixed: false },
];

/// When a moment is due by hand: the clock has come to one of the minutes, for the first time, or has passed one by.
fn due(expression: &Expression, rule: &str) -> &'static str {
    match (expression.fixed, rule) {
        (true, "vixie") => "floor((clock.clock - m) / 1440.0) > floor((clock.shown - m) / 1440.0)",
        (true, "skip") => "(clock.clock - m) % 1440 = 0 and clock.clock > clock.shown",
        _ => "(clock.clock - m) % 1440 = 0",
    }
}

/// The changes around which the slots are others than by hand, with both.
async fn differences(db: &Db, expression: &Expression, rule: &str) -> Vec<String> {
    let (text, minutes, due) = (expression.text, expression.minutes, due(expression, rule));
    db.column(&format!(
        "select format('%s %s: %s, by hand %s', name, minute, slots.slots, by_hand.slots)
         from change
         cross join lateral (
             select array_agg(at order by at) as slots from clock
             where clock.id = change.id and at > minute - interval '36 hours'
               and exists (select from unnest('{minutes}'::int[]) as m where {due})) as by_hand
         cross join lateral (
             select array_agg(slot order by slot) as slots
             from edge.next_runs('{text}', name, 40, minute - interval '36 hours', '{rule}') as slot
             where slot <= minute + interval '36 hours') as slots
         where slots.slots is distinct from by_hand.slots"
    ))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_are_those_of_somebody_who_follows_the_clock_of_each_zone() {
    let cluster = Cluster::start();
    let db = cluster.create_extension("postgres").await;
    db.exec("set timezone = 'UTC'").await;
    for statement in ZONES.split(';').chain([CHANGES, CLOCK, "create index on clock (id)", "analyze clock, change"]) {
        db.exec(statement).await;
    }
    let changes: i64 = db.one("select count(*) from change").await;
    assert!(changes > 500, "clocks are changed {changes} times");
    for expression in &EXPRESSIONS {
        for rule in ["vixie", "skip", "literal"] {
            let differences = differences(&db, expression, rule).await;
            let first = differences.first();
            assert!(
                first.is_none(),
                "{} {rule}: {} of {changes}, such as {first:?}",
                expression.text,
                differences.len()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_rise_in_every_zone_from_2020_to_2040() {
    let cluster = Cluster::start();
    let db = cluster.create_extension("postgres").await;
    let wrong: Vec<String> = db
        .column(
            "select name from pg_timezone_names, lateral (
                 select count(*) filter (where slot > before or before is null) as rising, max(slot) as last
                 from (select slot, lag(slot) over (order by n) as before
                       from edge.next_runs('30 2 * * sun', name, 1000, '2020-01-01 00:00+00') with ordinality as run (slot, n)) as runs
             ) as slots where rising <> 1000 or last not between '2039-01-01 00:00+00' and '2039-12-31 00:00+00'",
        )
        .await;
    assert!(wrong.is_empty(), "{wrong:?}");
}
