//! When a command begins: in which order, how many at once, and what is in the way.

use std::time::{Duration, Instant};

use super::{WAITS, World};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn no_more_commands_are_run_at_once_than_set() {
    let world = World::on(Cluster::builder().setting("pg_edge.max_sql_jobs", "2")).await;
    world.db().exec("select pg_advisory_lock(7)").await;
    let mut runs = Vec::new();
    for number in 0..5 {
        let schedule = world.schedule("postgres", &format!("s{number}"), WAITS).await;
        runs.push(world.due(schedule).await);
    }
    world.reaches(runs[0], "running").await;
    world.reaches(runs[1], "running").await;
    // A later command that needs no place of its own has ended by now, or would have, were there a third place.
    world.wake().await;
    assert_eq!(world.processes().await.len(), 2);
    let waiting = "select count(*) from edge_store.schedule_run where state = 'waiting'";
    assert_eq!(world.db().one::<i64>(waiting).await, 3);
    world.db().exec("select pg_advisory_unlock(7)").await;
    for run in &runs {
        assert_eq!(world.end(*run).await, "succeeded|1||");
    }
    let most = "
        select max(at_once) from (
            select count(*) as at_once from edge_store.schedule_run as one join edge_store.schedule_run as other
                on other.started_at <= one.started_at and other.finished_at > one.started_at
            group by one.run_id) as counted";
    assert!(world.db().one::<i64>(most).await <= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runs_of_a_schedule_follow_each_other_unless_they_may_overlap() {
    let world = World::start().await;
    let one = world.schedule("postgres", "one", WAITS).await;
    let many = world.schedule("postgres", "many", WAITS).await;
    world.alter(many, "overlap = 'allow'").await;
    world.db().exec("select pg_advisory_lock(7)").await;
    let mut first = Vec::new();
    let mut second = Vec::new();
    for _ in 0..2 {
        first.push(world.due(one).await);
        second.push(world.due(many).await);
    }
    for run in [first[0], second[0], second[1]] {
        world.reaches(run, "running").await;
    }
    assert_eq!(world.processes().await.len(), 3);
    world.db().exec("select pg_advisory_unlock(7)").await;
    for run in first.iter().chain(&second) {
        assert_eq!(world.end(*run).await, "succeeded|1||");
    }
    let order = "
        select later.started_at >= earlier.finished_at from edge_store.schedule_run as earlier, edge_store.schedule_run as later
        where earlier.run_id = $1 and later.run_id = $2";
    assert!(world.db().one_with::<bool>(order, &[&first[0], &first[1]]).await, "they overlapped");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_begins_while_sending_is_paused() {
    let world = World::start().await;
    world.db().exec("create table t (n int)").await;
    world.scene.pause().await;
    let schedule = world.schedule("postgres", "s", "insert into t values (1)").await;
    let run = world.note_due(schedule).await;
    let other = world.schedule("postgres", "other", "select 1").await;
    world.note_due(other).await;
    // A cancellation is seen during a pause, so the dispatcher has looked.
    let cancelled = world.note_due(other).await;
    world
        .db()
        .exec(&format!("update edge_store.schedule_run set cancel_asked = true where run_id = {cancelled}"))
        .await;
    world.scene.cluster.reload().await;
    assert_eq!(world.end(cancelled).await, "cancelled|||with overlap 'cancel' a later run took its place");
    assert_eq!(world.processes().await, Vec::<i32>::new());
    assert_eq!(world.db().one::<i64>("select count(*) from t").await, 0);
    world.db().exec("select edge.resume()").await;
    assert_eq!(world.end(run).await, "succeeded|1||");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_schedule_was_dropped_is_cancelled() {
    let world = World::start().await;
    let schedule = world.schedule("postgres", "s", "select 1").await;
    world.scene.pause().await;
    let run = world.note_due(schedule).await;
    world.db().exec("delete from edge_store.schedule; select edge.resume()").await;
    assert_eq!(world.end(run).await, "cancelled|||its schedule was dropped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_owner_is_gone_fails_and_stops_its_schedule() {
    let world = World::start().await;
    world.db().exec("create role ada").await;
    let schedule = world.schedule("ada", "s", "select 1").await;
    world.alter(schedule, "due_at = now() + '1 day', next_run_at = now() + '1 day'").await;
    world.scene.pause().await;
    let run = world.note_due(schedule).await;
    world.db().exec("drop owned by ada; drop role ada; select edge.resume()").await;
    assert_eq!(world.end(run).await, "failed|||the role that owns its schedule no longer exists");
    let row = "select format('%s|%s|%s|%s|%s', active, due_at, next_run_at, note, noted_by) from edge_store.schedule";
    let stopped = "f|||stopped because the role that owns it no longer exists|pg_edge";
    assert_eq!(world.db().column::<String>(row).await, [stopped]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_while_its_owner_loses_the_right_to_it_never_begins() {
    let world = World::start().await;
    world.db().exec("create role ada; create table t (n int); grant insert on t to public").await;
    let schedule = world.schedule("ada", "s", "insert into t values (1)").await;
    world.scene.pause().await;
    let runs = [world.due(schedule).await, world.due(schedule).await];
    world.db().exec("select edge.revoke_access('ada'), edge.resume()").await;
    for run in runs {
        let why = "the role that owns its schedule has no right to use schema edge any more";
        assert_eq!(world.end(run).await, format!("failed|||{why}"));
    }
    assert_eq!(world.db().one::<i64>("select count(*) from t").await, 0);
    world.db().exec("select edge.grant_access('ada')").await;
    let run = world.due(schedule).await;
    assert_eq!(world.end(run).await, "succeeded|1||");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_connect_is_tried_a_few_times_and_then_said_to_be_the_cause() {
    for login in ["login", "nologin"] {
        let world = World::start().await;
        let roles = format!("create role ada {login}; create role boss superuser {login}");
        world.db().exec(&format!("{roles}; revoke connect on database postgres from public")).await;
        let schedule = world.schedule("ada", "s", "select 1").await;
        let run = world.due(schedule).await;
        let end = world.end(run).await;
        assert!(end.starts_with("failed|||its process ended before it could begin, 3 times"), "{login}: {end}");
        assert!(end.contains("role \"ada\" may not connect"), "{login}: {end}");
        assert_eq!(world.scene.cluster.log().matches("permission denied for database").count(), 3, "{login}");
        // A superuser may do everything.
        let schedule = world.schedule("boss", "s", "select 1").await;
        let run = world.due(schedule).await;
        assert_eq!(world.end(run).await, "succeeded|1||", "{login}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_waits_for_a_process_where_there_is_none_to_be_had() {
    // Two for ourselves, and one more.
    let world = World::on(Cluster::builder().setting("max_worker_processes", "4")).await;
    world.db().exec("select pg_advisory_lock(7)").await;
    let mut runs = Vec::new();
    for number in 0..4 {
        let schedule = world.schedule("postgres", &format!("s{number}"), WAITS).await;
        runs.push(world.due(schedule).await);
    }
    let complaint = || async { world.scene.cluster.log().contains("raise max_worker_processes") };
    eventually("the dispatcher says what is missing", SERVER_DEADLINE, complaint).await;
    world.db().exec("select pg_advisory_unlock(7)").await;
    for run in runs {
        assert_eq!(world.end(run).await, "succeeded|1||");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_or_written_while_no_command_waits() {
    let world = World::start().await;
    assert_eq!(world.run("s", "select 1").await, "succeeded|1||");
    let reads = "
        select coalesce(sum(seq_scan + idx_scan), 0)::bigint from pg_stat_all_tables
        where schemaname = 'edge_store' and relname in ('schedule', 'schedule_run')";
    // What was read for the command is counted a little later than the command ends, by its process when that ends.
    eventually("its process is gone", SERVER_DEADLINE, || async { world.processes().await.is_empty() }).await;
    let settled = || async { stays(&world, reads, Duration::from_secs(1)).await };
    eventually("all that was read for the command is counted", SERVER_DEADLINE, settled).await;
    assert!(stays(&world, reads, Duration::from_secs(5)).await, "the tables are not let alone");
}

/// Whether a count stays what it is for so long.
async fn stays(world: &World, count: &str, how_long: Duration) -> bool {
    let (before, since) = (world.db().one::<i64>(count).await, Instant::now());
    while since.elapsed() < how_long {
        if world.db().one::<i64>(count).await != before {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_queue_of_one_schedule_is_in_nobody_elses_way() {
    let world = World::on(Cluster::builder().setting("pg_edge.max_sql_jobs", "2")).await;
    let long = world.schedule("postgres", "long", WAITS).await;
    world.db().exec("select pg_advisory_lock(7)").await;
    let first = world.due(long).await;
    world.reaches(first, "running").await;
    world
        .db()
        .exec(&format!(
            "insert into edge_store.schedule_run (schedule_id, scheduled_for, run_id, owner, name, origin, state)
             select {long}, timestamptz '2020-01-01' + number * interval '1 min', nextval('edge_store.run_id'), 10, 'long', 'b',
                    'waiting'
             from generate_series(1, 20000) as number"
        ))
        .await;
    let began = Instant::now();
    for number in 0..10 {
        assert_eq!(world.run(&format!("short {number}"), "select 1").await, "succeeded|1||");
    }
    assert!(began.elapsed() < SERVER_DEADLINE, "it took {:?}", began.elapsed());
    world.db().exec("select edge.unschedule('long', cancel => true)").await;
    assert!(world.end(first).await.starts_with("cancelled||57014"));
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_and_their_schedules_take_turns() {
    let world = World::on(Cluster::builder().setting("pg_edge.max_sql_jobs", "1")).await;
    world.db().exec("create role ada; create role bob; select pg_advisory_lock(7)").await;
    let long = world.schedule("ada", "long", WAITS).await;
    world.alter(long, "overlap = 'allow'").await;
    let first = world.due(long).await;
    world.reaches(first, "running").await;
    for _ in 0..30 {
        world.due(long).await;
    }
    let (hers, his) = (world.schedule("ada", "hers", "select 1").await, world.schedule("bob", "his", "select 1").await);
    let others = [world.due(hers).await, world.due(his).await];
    world.db().exec("select pg_advisory_unlock(7)").await;
    for run in others {
        assert_eq!(world.end(run).await, "succeeded|1||");
        let before = "
            select count(*) from edge_store.schedule_run as run, edge_store.schedule_run as mine
            where mine.run_id = $1 and run.run_id <> $1 and run.started_at < mine.started_at";
        let before: i64 = world.db().one_with(before, &[&run]).await;
        assert!(before <= 4, "{before} others went before it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn very_many_runs_can_be_asked_for_in_one_statement() {
    let world = World::on(Cluster::builder().setting("pg_edge.max_sql_jobs", "0")).await;
    world.schedule("postgres", "s", "select 1").await;
    let began = Instant::now();
    world.db().exec("select count(edge.run_now('s')) from generate_series(1, 20000)").await;
    assert!(began.elapsed() < Duration::from_secs(40), "it took {:?}", began.elapsed());
}
