//! Beside the real pg_cron: its jobs use our functions, and are taken over.

use std::time::Duration;

use crate::harness::{Cluster, ClusterBuilder, Db, eventually};
use crate::scene::{Scene, ended};

/// pg_cron runs a job at the next full minute.
const A_MINUTE: Duration = Duration::from_secs(150);

fn with_pg_cron() -> ClusterBuilder {
    Cluster::builder()
        .preload("pg_cron")
        .setting("cron.database_name", "postgres")
        .setting("cron.use_background_workers", "on")
        .setting("cron.timezone", "America/New_York")
}

async fn start() -> Scene {
    let scene = Scene::on(with_pg_cron()).await;
    scene.db.exec("create extension pg_cron").await;
    scene
}

/// What an import says of a job.
async fn told(db: &Db, job: &str, dry_run: bool) -> (String, Option<String>, Option<String>) {
    let sql = format!("select action, kind, note from edge.import_pg_cron('{job}', dry_run => {dry_run})");
    let row = &db.rows(&sql).await[0];
    (row.get(0), row.get(1), row.get(2))
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_pg_cron_call_urls_and_functions() {
    let scene = start().await;
    let ada = scene.role("ada").await;
    scene.db.exec("grant usage on schema cron to ada").await;
    scene.db.exec(&format!("select edge.create_endpoint('default', '{}')", scene.peer.url("/f"))).await;
    let post = format!("select edge.http_post_async('{}', '{{\"by\": \"cron\"}}')", scene.peer.url("/posted"));
    for (db, name, command) in [(&scene.db, "post", post.as_str()), (&ada, "invoke", "select edge.invoke('hello')")] {
        let make = "select cron.schedule($1, '* * * * *', $2)";
        db.rows_with(make, &[&name, &command]).await;
    }
    for path in ["/posted", "/f/hello"] {
        eventually(&format!("{path} was called"), A_MINUTE, || async { scene.peer.count(path) > 0 }).await;
    }
    assert_eq!(scene.peer.requests_for("/posted")[0].body.as_ref(), br#"{"by": "cron"}"#);
    let owner: String = scene.db.one("select distinct owner::text from edge.calls where url like '%/f/hello'").await;
    assert_eq!(owner, "ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_taken_over_as_they_ran() {
    let scene = start().await;
    let db = &scene.db;
    let request = format!(
        r#"select net.http_post(url := '{}', headers := '{{"x-from": "cron"}}'::jsonb, body := '{{"n": 1.50}}'::jsonb,
               timeout_milliseconds := 60000) as request_id;"#,
        scene.peer.url("/hook")
    );
    let jobs = [
        ("nightly", "0 3 * * *", "vacuum"),
        ("boot", "@reboot", "select 1"),
        ("fields", "0 9 * * 1 2027", "select 1"),
        ("hook", "*/5 * * * *", &request),
        ("computed", "* * * * *", "select net.http_post(url := current_setting('app.url'))"),
        ("rests", "0 5 * * *", "select 1"),
        // What a later pg_cron takes.
        ("seconds", "* * * * *", "select 1"),
        ("lastday", "* * * * *", "select 1"),
    ];
    for (name, schedule, command) in jobs {
        db.rows_with("select cron.schedule($1, $2, $3)", &[&name, &schedule, &command]).await;
    }
    db.exec("select cron.schedule('1 2 * * *', 'select 1')").await;
    db.exec("select cron.alter_job(jobid, active => false) from cron.job where jobname = 'rests'").await;
    db.exec("update cron.job set schedule = '30 seconds' where jobname = 'seconds'").await;
    db.exec("update cron.job set schedule = '0 0 $ * *' where jobname = 'lastday'").await;
    let dry: Vec<String> = db.column("select distinct action from edge.import_pg_cron()").await;
    assert_eq!(dry, ["would import"]);
    assert_eq!(db.one::<i64>("select count(*) from edge.schedules").await, 0, "a dry run changes nothing");
    let done: Vec<String> = db.column("select distinct action from edge.import_pg_cron(dry_run => false)").await;
    assert_eq!(done, ["imported"]);
    let rows: Vec<String> = db
        .column("select concat_ws(' | ', name, kind, schedule, timezone, dst, overlap, active) from edge.schedules order by id")
        .await;
    assert_eq!(
        rows,
        [
            "nightly | sql | 0 3 * * * | America/New_York | literal | queue_one | t",
            "boot | sql | @reboot | America/New_York | literal | queue_one | t",
            "fields | sql | 0 9 * * 1 | America/New_York | literal | queue_one | t",
            "hook | http | */5 * * * * | America/New_York | literal | allow | t",
            "computed | sql | * * * * * | America/New_York | literal | queue_one | t",
            "rests | sql | 0 5 * * * | America/New_York | literal | queue_one | f",
            "seconds | sql | 30 seconds | America/New_York | literal | queue_one | t",
            "lastday | sql | 0 0 $ * * | America/New_York | literal | queue_one | t",
            "cron job 9 | sql | 1 2 * * * | America/New_York | literal | queue_one | t",
        ]
    );
    assert_eq!(db.one::<i64>("select count(*) from cron.job where active").await, 0, "nothing runs twice");
    let call: i64 = db.one("select edge.run_now('hook')").await;
    ended(db, call).await;
    let hook = &scene.peer.requests_for("/hook")[0];
    assert_eq!((hook.header("x-from"), hook.body.as_ref()), (Some("cron"), br#"{"n": 1.50}"#.as_slice()));
    let both: Vec<String> =
        db.column("select source from edge.all_schedules where name = 'hook' order by source").await;
    assert_eq!(both, ["pg_cron", "pg_edge"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_be_known_of_a_job_is_said() {
    let scene = start().await;
    let db = &scene.db;
    scene.cluster.create_database("elsewhere").await;
    db.exec("create role gone; grant usage on schema cron to gone").await;
    db.exec("select edge.schedule('taken', '@daily', 'select 1'), cron.schedule('taken', '0 9 * * *', 'select 2')")
        .await;
    db.exec(
        "select cron.schedule('fields', '0 9 * * 1 2027', 'select 1'), cron.schedule('typo', '0 9 * * *', 'selec 1')",
    )
    .await;
    db.exec("select cron.schedule('local', '0 9 * * *', $$select net.http_get('no url')$$)").await;
    db.exec("select cron.schedule_in_database('other', '0 9 * * *', 'select 1', 'elsewhere')").await;
    db.exec("set role gone; select cron.schedule('orphan', '0 9 * * *', 'select 1'); reset role").await;
    let note = |told: (String, Option<String>, Option<String>)| format!("{}: {}", told.0, told.2.unwrap_or_default());
    assert_eq!(
        note(told(db, "orphan", true).await),
        "would import: role \"gone\" has no access: select edge.grant_access('gone')"
    );
    db.exec("revoke usage on schema cron from gone; drop role gone").await;
    for (job, says) in [
        ("taken", "left alone: there is a schedule of that name already"),
        ("fields", "imported: pg_cron ignores what stands behind the schedule: 2027; deactivated in pg_cron"),
        ("typo", "skipped: the command cannot be run: syntax error at or near \"selec\""),
        ("other", "skipped: it runs in database \"elsewhere\": make it there, by edge.schedule"),
        ("orphan", "skipped: there is no role \"gone\""),
    ] {
        assert_eq!(note(told(db, job, false).await), says);
    }
    let (action, kind, said) = told(db, "local", false).await;
    assert_eq!((action.as_str(), kind.as_deref()), ("imported", Some("sql")));
    assert!(said.unwrap().starts_with("stays SQL: the URL \"no url\" cannot be parsed"));
    assert_eq!(db.one::<String>("select target from edge.schedules where name = 'taken'").await, "select 1");
    let active: Vec<String> = db.column("select jobname::text from cron.job where active order by jobname").await;
    assert_eq!(active, ["orphan", "other", "taken", "typo"]);
    assert!(db.rows("select * from edge.import_pg_cron('no such %')").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_takes_over_its_own_jobs_and_drops_them_itself() {
    let scene = start().await;
    let ada = scene.role("ada").await;
    scene.db.exec("grant usage on schema cron to ada; select cron.schedule('his', '0 9 * * *', 'select 1')").await;
    let job: i64 = ada.one("select cron.schedule('ada''s', '0 9 * * *', 'select 1')").await;
    assert_eq!(ada.column::<String>("select jobname from edge.import_pg_cron()").await, ["ada's"]);
    let (action, _, note) = told(&ada, "%", false).await;
    let then = format!("select cron.unschedule({job}); select edge.resume_schedule('ada''s');");
    assert_eq!(action, "imported");
    assert_eq!(note, Some(format!("inactive until you have dropped the job: {then}")));
    assert!(!ada.one::<bool>("select active from edge.schedules").await, "nothing runs twice");
    ada.exec(&then).await;
    let sources: Vec<String> = ada.column("select source || ' ' || active from edge.all_schedules").await;
    assert_eq!(sources, ["pg_edge true"]);
    // A superuser takes over what is another's, and it stays his.
    let second: i64 = ada.one("select cron.schedule('second', '0 9 * * *', 'select 1')").await;
    assert_eq!(told(&scene.db, "second", false).await.2.as_deref(), Some("deactivated in pg_cron"));
    assert_eq!(ada.one::<String>("select owner::text from edge.schedules where name = 'second'").await, "ada");
    assert!(!ada.one::<bool>(&format!("select active from cron.job where jobid = {second}")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_only_looks_like_pg_crons_is_not_read() {
    let scene = Scene::start().await;
    let eve = scene.role("eve").await;
    scene.db.exec("grant create on database postgres to eve").await;
    eve.exec(
        "create schema cron; grant usage on schema cron to public;
         create function cron.trap() returns bigint language plpgsql as $$ begin raise 'trapped as %', current_user; end $$;
         create view cron.job as select cron.trap() as jobid, 'x'::text as jobname, '@daily'::text as schedule, true as active,
             'select 1'::text as command, 'postgres'::text as database, 'postgres'::text as username;
         grant select on cron.job to public",
    )
    .await;
    assert_eq!(scene.db.one::<i64>("select count(*) from edge.all_schedules").await, 0);
    assert_eq!(scene.db.fails("select * from edge.import_pg_cron()").await.sqlstate, "55000");
}
