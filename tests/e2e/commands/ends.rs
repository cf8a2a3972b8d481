//! How commands end: errors, limits of time, cancels, and further attempts.

use super::{WAITS, World};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, eventually};

const SLEEPS: &str = "select pg_sleep(3600)";

/// Goes on for ever, whoever cancels it.
const STUBBORN: &str = "
    do $$ begin
        loop begin perform pg_sleep(3600); exception when query_canceled then null; end; end loop;
    end $$";

#[tokio::test(flavor = "multi_thread")]
async fn the_error_of_a_command_is_recorded_with_its_code() {
    let world = World::start().await;
    for (number, (command, end)) in [
        ("selekt 1", "failed||42601|syntax error at or near \"selekt\""),
        ("select 1; selekt 1", "failed||42601|syntax error at or near \"selekt\""),
        ("select * from nowhere", "failed||42P01|relation \"nowhere\" does not exist"),
        ("select 1/0", "failed||22012|division by zero"),
        ("do $$ begin raise exception 'no luck' using errcode = 'MY001'; end $$", "failed||MY001|no luck"),
        ("commit; select 1/0", "failed||22012|division by zero"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(world.run(&format!("c{number}"), command).await, end, "{command}");
    }
    let log = world.scene.cluster.log();
    assert!(log.contains("command \"c2\" failed: relation \"nowhere\" does not exist (42P01)"), "{log}");
    assert!(log.contains("STATEMENT:  select * from nowhere"), "{log}");
    let states = "select distinct last_state || ' ' || active from edge_store.schedule";
    assert_eq!(world.db().column::<String>(states).await, ["failed true"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_gone_stops_its_schedule_with_a_note() {
    let world = World::start().await;
    let schedule = world.schedule("postgres", "it's", "select gone()").await;
    world.alter(schedule, "due_at = now() + '1 day', next_run_at = now() + '1 day'").await;
    let run = world.due(schedule).await;
    assert_eq!(world.end(run).await, "failed||42883|function gone() does not exist");
    let row = "select format('%s|%s|%s|%s', active, due_at, next_run_at, note) from edge_store.schedule";
    let note = "stopped because its command failed: function gone() does not exist; \
                edge.resume_schedule('it''s') starts it again";
    assert_eq!(world.db().column::<String>(row).await, [format!("f|||{note}")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_takes_too_long_is_cancelled_as_a_whole() {
    let world = World::on(Cluster::builder().setting("pg_edge.sql_job_timeout", "300ms")).await;
    world.db().exec("create table t (n int)").await;
    let too_long = "failed||57014|the command was cancelled: it took longer than its time limit of 300ms";
    assert_eq!(world.run("one", SLEEPS).await, too_long);
    // No single one takes that long. The first is given the time to end, whatever else the machine has to do.
    let many = format!("insert into t values (1); commit; {}", "select pg_sleep(0.1);".repeat(100));
    let schedule = world.schedule("postgres", "many", &many).await;
    world.alter(schedule, "timeout_ms = 4000").await;
    let run = world.due(schedule).await;
    assert_eq!(world.end(run).await, too_long.replace("300ms", "4s"));
    assert_eq!(world.db().one::<i64>("select count(*) from t").await, 1, "what it had committed stays");
    let own = world.schedule("postgres", "own", "select pg_sleep(0.5)").await;
    world.alter(own, "timeout_ms = 60000").await;
    let run = world.due(own).await;
    assert_eq!(world.end(run).await, "succeeded|1||");
    world.alter(own, "timeout_ms = 100, command = 'select pg_sleep(3600)'").await;
    let run = world.due(own).await;
    assert!(world.end(run).await.ends_with("time limit of 100ms"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_swallows_its_time_limit_loses_its_process() {
    let world = World::start().await;
    let schedule = world.schedule("postgres", "stubborn", STUBBORN).await;
    // However slowly its process begins, it is within its block by then.
    world.alter(schedule, "timeout_ms = 3000").await;
    let run = world.due(schedule).await;
    assert_eq!(world.end(run).await, "failed|||its process ended before it did");
    assert_eq!(world.run("next", "select 1").await, "succeeded|1||");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_cancelled_when_somebody_asks() {
    let world = World::start().await;
    let running = world.schedule("postgres", "running", SLEEPS).await;
    let (first, second) = (world.due(running).await, world.due(running).await);
    world.reaches(first, "running").await;
    world.cancel(second).await;
    assert_eq!(world.end(second).await, "cancelled|||with overlap 'cancel' a later run took its place");
    world.sleeps().await;
    world.cancel(first).await;
    assert_eq!(world.end(first).await, "cancelled||57014|with overlap 'cancel' a later run took its place");
    let stubborn = world.schedule("postgres", "stubborn", STUBBORN).await;
    let run = world.due(stubborn).await;
    world.sleeps().await;
    world.cancel(run).await;
    assert_eq!(world.end(run).await, "cancelled|||with overlap 'cancel' a later run took its place");
    // Also one whose schedule goes at the same time.
    let dropped = world.schedule("postgres", "dropped", SLEEPS).await;
    let run = world.due(dropped).await;
    world.sleeps().await;
    world.db().exec(&format!("delete from edge_store.schedule where id = {dropped}")).await;
    world.cancel(run).await;
    assert!(world.end(run).await.starts_with("cancelled||57014"));
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_cancel_is_a_failure() {
    let world = World::start().await;
    let schedule = world.schedule("postgres", "s", SLEEPS).await;
    let run = world.due(schedule).await;
    world.sleeps().await;
    world.db().exec("select pg_cancel_backend(pid) from pg_stat_activity where backend_type = 'pg_edge command'").await;
    assert_eq!(world.end(run).await, "failed||57014|canceling statement due to user request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_command_is_tried_again_as_often_as_its_schedule_says() {
    let world = World::start().await;
    world.db().exec("create sequence tries").await;
    let command = "select 1 / (case when nextval('tries') < 3 then 0 else 1 end)";
    let lucky = world.schedule("postgres", "lucky", command).await;
    world.alter(lucky, "max_attempts = 3").await;
    let run = world.due(lucky).await;
    assert_eq!(world.end(run).await, "succeeded|1||");
    let row = "
        select format('%s|%s|%s', attempts, retry_at is null, finished_at - started_at >= '3 s')
        from edge_store.schedule_run where run_id = $1";
    assert_eq!(world.db().one_with::<String>(row, &[&run]).await, "3|t|t");
    let unlucky = world.schedule("postgres", "unlucky", &format!("{WAITS}; select 1/0")).await;
    world.alter(unlucky, "max_attempts = 2").await;
    world.db().exec("select pg_advisory_lock(7)").await;
    let run = world.due(unlucky).await;
    world.reaches(run, "running").await;
    // During a pause no other attempt begins, and that it waits can be seen.
    world.scene.pause().await;
    world.db().exec("select pg_advisory_unlock(7)").await;
    let between = "
        select sqlstate from edge_store.schedule_run
        where run_id = $1 and state = 'waiting' and retry_at > started_at and pid is null";
    eventually("the run waits for its second attempt", SERVER_DEADLINE, || async {
        world.db().rows_with(between, &[&run]).await.first().map(|row| row.get::<_, String>(0)).as_deref()
            == Some("22012")
    })
    .await;
    world.db().exec("select edge.resume()").await;
    assert_eq!(world.end(run).await, "failed||22012|division by zero");
    let attempts = "select attempts from edge_store.schedule_run where run_id = $1";
    assert_eq!(world.db().one_with::<i16>(attempts, &[&run]).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn unschedule_ends_a_command_when_asked_and_only_then() {
    let world = World::start().await;
    let stays = world.schedule("postgres", "stays", WAITS).await;
    let goes = world.schedule("postgres", "goes", SLEEPS).await;
    world.db().exec("select pg_advisory_lock(7)").await;
    let (first, second) = (world.due(stays).await, world.due(stays).await);
    let (third, fourth) = (world.due(goes).await, world.due(goes).await);
    world.reaches(first, "running").await;
    world.reaches(third, "running").await;
    world.sleeps().await;
    world.db().exec("select edge.unschedule('stays'), edge.unschedule('goes', cancel => true)").await;
    assert_eq!(world.end(third).await, "cancelled||57014|the schedule was dropped, and its runs with it");
    world.db().exec("select pg_advisory_unlock(7)").await;
    assert_eq!(world.end(first).await, "succeeded|1||");
    for run in [second, fourth] {
        assert!(world.end(run).await.starts_with("cancelled|||"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_may_cancel_its_last_command_for_the_next_one() {
    let world = World::start().await;
    world.db().exec("select edge.schedule('s', '* * * * * *', 'select pg_sleep(3600)', overlap => 'cancel')").await;
    let cancelled = "select count(*) from edge_store.schedule_run where state = 'cancelled' and started_at is not null";
    eventually("several commands were cancelled", SERVER_DEADLINE, || async {
        world.db().one::<i64>(cancelled).await >= 2
    })
    .await;
    world.db().exec("select edge.unschedule('s', cancel => true)").await;
    eventually("nothing is left", SERVER_DEADLINE, || async {
        world.db().one::<i64>("select count(*) from edge_store.schedule_run where finished_at is null").await == 0
    })
    .await;
    let others = "select count(*) from edge_store.schedule_run where state not in ('cancelled', 'skipped')";
    assert_eq!(world.db().one::<i64>(others).await, 0);
}
