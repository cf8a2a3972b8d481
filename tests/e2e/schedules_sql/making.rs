//! Making schedules, and saying them anew.

use super::shown;
use crate::harness::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_shown_with_what_it_runs_and_when() {
    let cluster = Cluster::start();
    let db = cluster.create_extension("postgres").await;
    db.exec("select edge.create_endpoint('crm', 'https://crm.example.com/v2')").await;
    db.exec("select edge.schedule('clean', '0 3 * * *', 'delete from logs', timezone => 'UTC')").await;
    db.exec(
        "select edge.schedule_invoke('digest', 'every 10 seconds', 'mail/digest', '{\"n\": 1}', endpoint => 'crm')",
    )
    .await;
    db.exec("select edge.schedule_http('ping', 'at 2090-01-01 12:00', 'https://example.com/?apikey=x', method => 'GET', timezone => 'UTC')").await;
    let rows = db
        .rows(
            "select name, kind, schedule, description, target, next_run_at = '2090-01-01 12:00+00',
                    extract(epoch from next_run_at)::bigint % 10, owner::text, overlap, catchup, dst
             from edge.schedules order by name",
        )
        .await;
    let kinds: Vec<(&str, &str)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(kinds, [("clean", "sql"), ("digest", "function"), ("ping", "http")]);
    let targets: Vec<&str> = rows.iter().map(|row| row.get(4)).collect();
    assert_eq!(
        targets,
        ["delete from logs", "POST https://crm.example.com/v2/mail/digest", "GET https://example.com/?apikey=***"]
    );
    assert!(rows[2].get::<_, bool>(5), "the one-off is planned for its time");
    assert_eq!(rows[1].get::<_, i64>(6), 0, "an interval is counted from 1970");
    assert_eq!(rows[0].get::<_, &str>(7), "postgres");
    assert_eq!(rows[0].get::<_, &str>(3), db.one::<String>("select edge.describe_schedule('0 3 * * *')").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn saying_a_schedule_again_moves_no_grid_and_keeps_its_number() {
    let cluster = Cluster::start();
    let db = cluster.create_extension("postgres").await;
    // The dispatcher would run what is overdue.
    db.exec("select edge.pause()").await;
    let say = "select edge.schedule('grid', 'every 7 hours', 'select 1', jitter => '1 hour')";
    let id: i64 = db.one(say).await;
    // As it stands when the server was down for a while: a slot is overdue.
    db.exec("update edge_store.schedule set passed = passed - interval '14 hours', next_run_at = next_run_at - interval '14 hours', last_state = 'failed'").await;
    let plan = "(next_run_at, last_state)";
    let (before, passed) = (shown(&db, "grid", plan).await, "select passed::text from edge_store.schedule");
    let passed_before: String = db.one(passed).await;
    let overdue: bool = db.one("select next_run_at < now() from edge.schedules").await;
    assert!(overdue);
    for command in ["select 1", "select 2"] {
        let again = format!(
            "select edge.schedule('grid', 'every 7 hours', '{command}', jitter => '2 hours', overlap => 'allow')"
        );
        assert_eq!(db.one::<i64>(&again).await, id);
        assert_eq!(shown(&db, "grid", plan).await, before, "nothing is lost and nothing repeated");
        assert_eq!(db.one::<String>(passed).await, passed_before);
    }
    assert_eq!(shown(&db, "grid", "target").await.as_deref(), Some("select 2"));
    assert_eq!(shown(&db, "grid", "overlap").await.as_deref(), Some("allow"));
    db.exec("select edge.schedule('grid', 'every 7 hours', 'select 1', starts_at => now() + interval '1 hour')").await;
    assert!(
        db.one::<bool>("select next_run_at = starts_at from edge.schedules").await,
        "a new grid begins where it says"
    );
    db.exec("select edge.schedule('grid', 'every 6 hours', 'select 1')").await;
    assert!(db.one::<bool>("select next_run_at > now() and last_state = 'failed' from edge.schedules").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_moved_but_not_into_the_past() {
    let cluster = Cluster::start();
    let db = cluster.create_extension("postgres").await;
    let say = |end: &str| format!("select edge.schedule('s', '@yearly', 'select 1', ends_at => {end})");
    db.exec(&say("now() + interval '10 years'")).await;
    let next = shown(&db, "s", "next_run_at").await;
    assert!(next.is_some());
    let refused = db.fails(&say("now() - interval '1 second'")).await;
    assert!(refused.message.contains("would never run"), "{refused}");
    db.exec(&say("null")).await;
    assert_eq!(shown(&db, "s", "next_run_at").await, next);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_off_is_refused_when_its_time_is_over_but_a_migration_that_made_it_can_be_run_again() {
    let cluster = Cluster::start();
    let db = cluster.create_extension("postgres").await;
    let refused = db.fails("select edge.schedule('once', 'at 2020-02-03 04:05', 'select 1')").await;
    assert_eq!(refused.sqlstate, "22023");
    assert_eq!(refused.message, "schedule \"once\" would never run: \"at 2020-02-03 04:05\" lies in the past");
    let say = "select edge.schedule('once', 'at 2090-02-03 04:05', 'select 1')";
    db.exec(say).await;
    // It has run.
    db.exec("update edge_store.schedule set passed = next_run_at, next_run_at = null, due_at = null").await;
    db.exec(say).await;
    assert_eq!(shown(&db, "once", "next_run_at").await, None, "it does not run twice");
    let note = shown(&db, "once", "note").await.unwrap_or_default();
    assert!(note.starts_with("it is over"), "{note}");
    let other = db.fails("select edge.schedule('once', 'at 2090-02-03 04:05', 'select 2')").await;
    assert_eq!(other.message, "schedule \"once\" would never run: \"at 2090-02-03 04:05\" lies in the past");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_the_clock_leaves_out_is_refused_where_the_rule_is_to_leave_it_out() {
    let cluster = Cluster::start();
    let db = cluster.create_extension("postgres").await;
    let at = "'at 2036-03-09 02:30'";
    let say =
        |dst: &str| format!("edge.schedule('gap', {at}, 'select 1', timezone => 'America/New_York', dst => '{dst}')");
    for dst in ["skip", "literal"] {
        let refused = db.fails(&format!("select {}", say(dst))).await;
        assert!(refused.message.contains("is left out by a change of the clock"), "{refused}");
        let none = format!("select count(*) from edge.next_runs({at}, 'America/New_York', dst => '{dst}')");
        assert_eq!(db.one::<i64>(&none).await, 0);
    }
    db.exec(&format!("select {}", say("vixie"))).await;
    assert!(db.one::<bool>("select next_run_at = '2036-03-09 03:00-04' from edge.schedules").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_is_rolled_back_does_not_exist() {
    let cluster = Cluster::start();
    let db = cluster.create_extension("postgres").await;
    db.exec("begin; select edge.schedule('s', '@daily', 'select 1'); rollback").await;
    assert_eq!(db.one::<i64>("select count(*) from edge.schedules").await, 0);
    db.exec("select edge.schedule('s', '@daily', 'select 1')").await;
    db.exec("begin; select edge.unschedule('s'); rollback").await;
    assert!(shown(&db, "s", "next_run_at").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn active_is_what_is_said_last() {
    let cluster = Cluster::start();
    let db = cluster.create_extension("postgres").await;
    let say = |active: bool| format!("select edge.schedule('s', '@daily', 'select 1', active => {active})");
    db.exec(&say(false)).await;
    assert_eq!(shown(&db, "s", "(active, next_run_at)").await.as_deref(), Some("(f,)"));
    db.exec(&say(true)).await;
    assert!(db.one::<bool>("select active and next_run_at > now() and noted_by is null from edge.schedules").await);
    db.exec("select edge.pause_schedule('s', 'on holiday')").await;
    db.exec(&say(false)).await;
    assert_eq!(shown(&db, "s", "(active, note, noted_by)").await.as_deref(), Some("(f,\"on holiday\",postgres)"));
}
