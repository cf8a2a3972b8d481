//! What becomes of a run when its process, its dispatcher or the whole server ends before it does.

use super::WAITS as GATED;
use super::World;
use crate::faults::{SOON, dispatcher, successor};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::process::{Signal, resident_kib_while_alive, send};
use crate::harness::{Cluster, Db, Stop, eventually};

/// Runs for as long as somebody else holds the lock; then it says so.
const WAITS: &str = "select pg_advisory_lock(7); insert into t values (pg_backend_pid())";

const ENDED: &str = "failed|||its process ended before it did";
const INTERRUPTED: &str = "failed|||interrupted: the server restarted, or the database was wanted without sessions";

/// A run whose command waits for a lock that the session holds.
async fn waiting_run(world: &World) -> (i64, i32) {
    world.db().exec("create table t (pid int); select pg_advisory_lock(7)").await;
    let schedule = world.schedule("postgres", "waits", WAITS).await;
    let run = world.due(schedule).await;
    (run, process(world).await)
}

/// The process of the command that waits for a lock.
async fn process(world: &World) -> i32 {
    let sql = "select pid from pg_stat_activity where backend_type = 'pg_edge command' and wait_event_type = 'Lock'";
    eventually("a command waits", SERVER_DEADLINE, || async { world.db().column::<i32>(sql).await.into_iter().next() })
        .await
}

async fn reconnect(world: &mut World) {
    eventually("the old session is gone", SERVER_DEADLINE, || async { world.db().client().is_closed() }).await;
    world.scene.db = eventually("the server is back", SERVER_DEADLINE, || async {
        world.scene.cluster.try_connect_as("postgres", "postgres").await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_command_has_failed() {
    let world = World::start().await;
    let (run, pid) = waiting_run(&world).await;
    world.db().one_with::<bool>("select pg_terminate_backend($1)", &[&pid]).await;
    assert_eq!(world.end(run).await, ENDED);
    assert_eq!(world.db().one::<i64>("select count(*) from t").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_can_end_its_own_process_and_nobody_elses() {
    let world = World::start().await;
    assert_eq!(world.run("terminates", "select pg_terminate_backend(pg_backend_pid())").await, ENDED);
    assert_eq!(world.run("quits", "set exit_on_error = on; select 1/0").await, ENDED);
    let end = world.run("cancels", "select pg_cancel_backend(pg_backend_pid()), pg_sleep(1)").await;
    assert_eq!(end, "failed||57014|canceling statement due to user request");
    // Whatever it does to locks, the dispatcher knows that it lives.
    let schedule = world.schedule("postgres", "unlocks", "select pg_advisory_unlock_all(); select pg_sleep(2)").await;
    let run = world.due(schedule).await;
    world.reaches(run, "running").await;
    world.wake().await;
    assert_eq!(world.end(run).await, "succeeded|1||");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_brings_the_server_down_does_so_no_more_often_than_it_has_attempts() {
    let mut world = World::start().await;
    world.db().exec("alter role postgres set synchronous_commit = off").await;
    let kills = "do $$ begin execute format('copy (select 1) to program %L', 'kill -9 ' || pg_backend_pid()); end $$";
    // It waits until it is known that it was asked for: the session goes with the server.
    let schedule = world.schedule("postgres", "kills", &format!("{GATED}; {kills}")).await;
    world.alter(schedule, "max_attempts = 2").await;
    world.db().exec("select pg_advisory_lock(7)").await;
    let run = world.due(schedule).await;
    let _ = world.db().try_exec("select pg_advisory_unlock(7)").await;
    let crashes = || world.scene.cluster.log().matches("was terminated by signal 9").count();
    eventually("the server has crashed twice", SERVER_DEADLINE, || async { crashes() == 2 }).await;
    reconnect(&mut world).await;
    assert_eq!(world.end(run).await, INTERRUPTED);
    assert_eq!(world.run("next", "select 1").await, "succeeded|1||");
    assert_eq!(world.scene.cluster.log().matches("was terminated by signal 9").count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_command_with_an_attempt_left_is_run_again() {
    let world = World::start().await;
    world.db().exec("create table t (pid int); select pg_advisory_lock(7)").await;
    let schedule = world.schedule("postgres", "waits", WAITS).await;
    world.alter(schedule, "max_attempts = 2").await;
    let run = world.due(schedule).await;
    let pid = process(&world).await;
    world.db().one_with::<bool>("select pg_terminate_backend($1)", &[&pid]).await;
    eventually("another process waits", SERVER_DEADLINE, || async { process(&world).await != pid }).await;
    world.db().exec("select pg_advisory_unlock(7)").await;
    assert_eq!(world.end(run).await, "succeeded|1||");
    assert_ne!(world.db().one::<i32>("select pid from t").await, pid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_process_is_killed_has_failed_when_the_server_is_back() {
    let mut world = World::start().await;
    let (run, pid) = waiting_run(&world).await;
    send(pid, Signal::SIGKILL);
    reconnect(&mut world).await;
    assert_eq!(world.end(run).await, INTERRUPTED);
    assert_eq!(world.run("next", "select 1").await, "succeeded|1||");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_killed_between_its_commit_and_its_record_is_said_to_have_failed() {
    let mut world = World::start().await;
    world.db().exec("create table t (n int)").await;
    let schedule = world.schedule("postgres", "s", &format!("{GATED}; insert into t values (1)")).await;
    world.scene.cluster.fail_at("command_ended", "kill");
    world.db().exec("select pg_advisory_lock(7)").await;
    let run = world.due(schedule).await;
    let _ = world.db().try_exec("select pg_advisory_unlock(7)").await;
    eventually("the process was killed", SOON, || async { !world.scene.cluster.failpoint_is_armed() }).await;
    reconnect(&mut world).await;
    assert_eq!(world.end(run).await, INTERRUPTED);
    assert_eq!(world.db().one::<i64>("select count(*) from t").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_interrupts_commands_and_what_waits_is_run_afterwards() {
    for stop in [Stop::Fast, Stop::Immediate] {
        let mut world = World::on(Cluster::builder().setting("pg_edge.max_sql_jobs", "1")).await;
        let (run, _) = waiting_run(&world).await;
        let next = world.schedule("postgres", "next", "select 1").await;
        let next = world.due(next).await;
        let again = world.schedule("postgres", "again", "select 1").await;
        world.scene.cluster.restart(stop);
        reconnect(&mut world).await;
        let end = world.end(run).await;
        assert!(end == INTERRUPTED || end == ENDED, "{end}");
        assert_eq!(world.end(next).await, "succeeded|1||");
        let again = world.due(again).await;
        assert_eq!(world.end(again).await, "succeeded|1||");
        eventually("all processes have ended", SERVER_DEADLINE, || async { world.processes().await.is_empty() }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_outlives_its_dispatcher() {
    let world = World::start().await;
    let (run, pid) = waiting_run(&world).await;
    let other = World::schedule(&world, "postgres", "other", "select pg_sleep(3600)").await;
    let other = world.due(other).await;
    world.sleeps().await;
    let old = dispatcher(&world.scene.cluster, "postgres").await;
    world.db().one_with::<bool>("select pg_terminate_backend($1)", &[&old]).await;
    successor(&world.scene.cluster, "dispatcher", "postgres", old).await;
    // The new one reaches what the old one has started.
    world.cancel(other).await;
    assert!(world.end(other).await.starts_with("cancelled||57014"));
    assert_eq!(world.db().one_with::<String>(super::STATE, &[&run]).await, "running");
    world.db().exec("select pg_advisory_unlock(7)").await;
    assert_eq!(world.end(run).await, "succeeded|1||");
    assert_eq!(world.db().column::<i32>("select pid from t").await, [pid]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_dies_under_a_new_dispatcher_has_failed() {
    let world = World::start().await;
    let (run, pid) = waiting_run(&world).await;
    let old = dispatcher(&world.scene.cluster, "postgres").await;
    world.db().one_with::<bool>("select pg_terminate_backend($1)", &[&old]).await;
    successor(&world.scene.cluster, "dispatcher", "postgres", old).await;
    // Once this has ended, the new one has seen what there is.
    assert_eq!(world.run("next", "select 1").await, "succeeded|1||");
    world.db().one_with::<bool>("select pg_terminate_backend($1)", &[&pid]).await;
    assert_eq!(world.end(run).await, ENDED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_with_a_running_command_can_be_dropped() {
    let world = World::start().await;
    let cluster = &world.scene.cluster;
    cluster.create_database("doomed").await;
    let db = cluster.create_extension("doomed").await;
    begin_sleeping(&db).await;
    let watch = cluster.connect().await;
    let sql = "select count(*) from pg_stat_activity where backend_type = 'pg_edge command' and wait_event = 'PgSleep'";
    eventually("the command sleeps", SERVER_DEADLINE, || async { watch.one::<i64>(sql).await == 1 }).await;
    drop(db);
    eventually("the database is dropped", SERVER_DEADLINE, || async {
        watch.try_exec("drop database if exists doomed").await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_with_a_running_command_can_be_dropped() {
    let world = World::start().await;
    begin_sleeping(world.db()).await;
    world.sleeps().await;
    world.db().exec("drop extension pg_edge").await;
    eventually("the command is ended", SERVER_DEADLINE, || async { world.processes().await.is_empty() }).await;
    world.db().exec("create extension pg_edge").await;
    assert_eq!(world.run("next", "select 1").await, "succeeded|1||");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_nobody_reads_take_no_memory() {
    let world = World::start().await;
    let command = "select n, repeat('x', 200) || n from generate_series(1, 3000000) as n";
    let schedule = world.schedule("postgres", "big", &format!("{GATED}; {command}")).await;
    world.db().exec("select pg_advisory_lock(7)").await;
    let run = world.due(schedule).await;
    world.reaches(run, "running").await;
    let pids = world.processes().await;
    world.db().exec("select pg_advisory_unlock(7)").await;
    let mut most = 0;
    while world.processes().await == pids {
        most = pids.iter().filter_map(|pid| resident_kib_while_alive(*pid)).max().unwrap_or(0).max(most);
    }
    assert_eq!(world.end(run).await, "succeeded|3000000||");
    assert!(most > 0 && most < 300 * 1024, "{most} KiB");
}

async fn begin_sleeping(db: &Db) {
    db.exec(
        "insert into edge_store.schedule (id, owner, name, kind, schedule, timezone, dst, overlap, catchup,
             catchup_window, active, command, passed, created_at, updated_at)
         values (nextval('edge_store.schedule_id'), 'postgres'::regrole, 's', 's', '', 'UTC', 'vixie', 'skip', 'one', '1 day',
             true, 'select pg_sleep(3600)', now(), now(), now());
         insert into edge_store.schedule_run (schedule_id, scheduled_for, run_id, owner, name, origin, state)
         select id, now(), nextval('edge_store.run_id'), owner, name, 't', 'waiting' from edge_store.schedule;
         select edge.pause(); select edge.resume()",
    )
    .await;
}
