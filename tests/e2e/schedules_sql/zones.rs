//! By whose clock a schedule runs: the zone that it names, or the database's; never the session's.

use std::time::Duration;

use super::shown;
use crate::harness::{Cluster, Stop, eventually};

/// The zone that a schedule gets which names none.
const DEFAULT: &str = "select edge.schedule('d', '@daily', 'select 1'); ";

#[tokio::test(flavor = "multi_thread")]
async fn the_zone_of_a_session_does_not_matter() {
    let mut cluster = Cluster::builder().setting("timezone", "Asia/Tokyo").start();
    let db = cluster.create_extension("postgres").await;
    db.exec("set timezone = 'America/New_York'").await;
    db.exec(DEFAULT).await;
    assert_eq!(shown(&db, "d", "timezone").await.as_deref(), Some("Asia/Tokyo"));
    let next: bool = db.one("select min(slot) = '2026-01-01 15:00+00' from edge.next_runs('0 0 * * *', after => '2026-01-01 00:00+00') as slot").await;
    assert!(next, "midnight in Tokyo");
    db.exec("select edge.schedule('once', 'at 2090-01-01 09:00', 'select 1')").await;
    assert!(db.one::<bool>("select next_run_at = '2090-01-01 00:00+00' from edge.schedules where name = 'once'").await);
    // What the role or the session says for itself counts as little.
    db.exec("alter role postgres set timezone = 'Europe/Paris'").await;
    db.exec("alter role postgres in database postgres set timezone = 'Europe/Rome'").await;
    let db = cluster.connect().await;
    db.exec(DEFAULT).await;
    assert_eq!(shown(&db, "d", "timezone").await.as_deref(), Some("Asia/Tokyo"));
    cluster.restart(Stop::Fast);
    let db = cluster.connect().await;
    db.exec("select edge.unschedule('d')").await;
    db.exec(DEFAULT).await;
    assert_eq!(shown(&db, "d", "timezone").await.as_deref(), Some("Asia/Tokyo"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_the_database_goes_before_what_is_said_of_all_and_of_the_server() {
    let cluster = Cluster::builder().setting("timezone", "Asia/Tokyo").start();
    let db = cluster.create_extension("postgres").await;
    for (setting, zone) in [
        ("alter role all set timezone = 'europe/oslo'", "Europe/Oslo"),
        ("alter database postgres set timezone = 'Africa/Cairo'", "Africa/Cairo"),
        ("alter database postgres reset timezone", "Europe/Oslo"),
        ("alter role all reset timezone", "Asia/Tokyo"),
    ] {
        db.exec(setting).await;
        db.exec(DEFAULT).await;
        assert_eq!(shown(&db, "d", "timezone").await.as_deref(), Some(zone), "{setting}");
    }
    cluster.set("timezone", "Australia/Lord_Howe").await;
    eventually("the server's new zone is known", Duration::from_secs(60), || async {
        db.exec(DEFAULT).await;
        shown(&db, "d", "timezone").await.as_deref() == Some("Australia/Lord_Howe")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_is_a_name_of_the_servers_tables_in_any_case() {
    let cluster = Cluster::start();
    let db = cluster.create_extension("postgres").await;
    for (given, zone) in [("europe/BERLIN", "Europe/Berlin"), ("utc", "UTC"), ("Etc/GMT+5", "Etc/GMT+5")] {
        db.exec(&format!("select edge.schedule('z', '@daily', 'select 1', timezone => '{given}')")).await;
        assert_eq!(shown(&db, "z", "timezone").await.as_deref(), Some(zone));
    }
    for wrong in ["CEST", "FOO+5", "<+03>-03", "Europe", "../Europe/Berlin", "Europe/Berlin2", "", "+02:00", "PST8"] {
        let error = db.fails(&format!("select edge.next_runs('@daily', '{wrong}')")).await;
        assert_eq!(
            (error.sqlstate.as_str(), error.message),
            ("22023", format!("timezone must be a name of pg_timezone_names, not \"{wrong}\""))
        );
    }
    db.exec("alter database postgres set timezone = 'FOO+5'").await;
    let error = db.fails(DEFAULT).await;
    assert_eq!(error.sqlstate, "22023");
    assert!(error.message.contains("this database's time zone \"FOO+5\""), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_are_those_that_the_clock_of_the_zone_shows() {
    let cluster = Cluster::start();
    let db = cluster.create_extension("postgres").await;
    let local = |schedule: &str, zone: &str, after: &str, n: i32, dst: &str| {
        format!(
            "select to_char(slot at time zone 'UTC', 'MM-DD HH24:MI') from edge.next_runs('{schedule}', '{zone}', {n}, '{after}', '{dst}') as slot"
        )
    };
    let vixie: Vec<String> =
        db.column(&local("30 2 * * *", "America/New_York", "2026-03-07 00:00+00", 3, "vixie")).await;
    assert_eq!(vixie, ["03-07 07:30", "03-08 07:00", "03-09 06:30"], "in the gap: right after it");
    let skip: Vec<String> = db.column(&local("30 2 * * *", "America/New_York", "2026-03-07 00:00+00", 2, "skip")).await;
    assert_eq!(skip, ["03-07 07:30", "03-09 06:30"]);
    let twice: Vec<String> =
        db.column(&local("30 1 * * *", "America/New_York", "2026-11-01 00:00+00", 2, "literal")).await;
    assert_eq!(twice, ["11-01 05:30", "11-01 06:30"]);
    // Half an hour, on the other side of the world.
    let howe: Vec<String> =
        db.column(&local("*/15 * * * *", "Australia/Lord_Howe", "2026-04-04 14:40+00", 4, "vixie")).await;
    assert_eq!(howe, ["04-04 14:45", "04-04 15:00", "04-04 15:15", "04-04 15:30"]);
    // Where a zone is named like an abbreviation, AT TIME ZONE takes the abbreviation.
    let agrees: bool = db
        .one(
            "select bool_and(to_char(slot at time zone name, 'HH24:MI') = '12:00') from pg_timezone_names,
                edge.next_runs('0 12 * * *', name, 3, '2026-10-20') as slot
             where upper(name) not in (select abbrev from pg_timezone_abbrevs)",
        )
        .await;
    assert!(agrees, "noon is noon in every zone, as AT TIME ZONE sees it");
    assert_eq!(db.one::<i64>("select count(*) from edge.next_runs('every 10 seconds', n => 1000)").await, 1000);
    assert_eq!(db.one::<i64>("select count(*) from edge.next_runs('at 2090-01-01 00:00')").await, 1);
    assert_eq!(db.one::<i64>("select count(*) from edge.next_runs('@reboot')").await, 0);
}
