//! Schedules that somebody has locked when their commands end.

use super::{WAITS, World};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Cluster, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_somebody_has_locked_delays_nothing_but_its_own_ends() {
    let world = World::on(Cluster::builder().setting("pg_edge.sql_job_timeout", "10s")).await;
    let session = world.scene.cluster.connect().await;
    let locked = world.schedule("postgres", "locked", WAITS).await;
    // Its command ends once its schedule is locked, and not before.
    world.db().exec("select pg_advisory_lock(7)").await;
    let (run, unwanted) = (world.due(locked).await, world.note_due(locked).await);
    world.reaches(run, "running").await;
    session.exec(&format!("begin; select from edge_store.schedule where id = {locked} for update")).await;
    world.db().exec("select pg_advisory_unlock(7)").await;
    world.cancel(unwanted).await;
    for number in 0..5 {
        assert_eq!(world.run(&format!("other {number}"), "select 1").await, "succeeded|1||");
    }
    // Its process outlives its limit and all patience with it: it only waits to say how it ended.
    let process: i32 = world.db().one_with("select pid from edge_store.schedule_run where run_id = $1", &[&run]).await;
    let outlived = "select clock_timestamp() > started_at + '18 s' from edge_store.schedule_run where run_id = $1";
    eventually("its limit and all patience are over", SERVER_DEADLINE, || async {
        assert!(world.processes().await.contains(&process), "its process is gone");
        world.db().one_with::<bool>(outlived, &[&run]).await
    })
    .await;
    assert_eq!(world.db().one_with::<String>(super::STATE, &[&run]).await, "running");
    assert_eq!(world.db().one_with::<String>(super::STATE, &[&unwanted]).await, "waiting");
    session.exec("commit").await;
    assert_eq!(world.end(run).await, "succeeded|1||");
    assert_eq!(world.end(unwanted).await, "cancelled|||with overlap 'cancel' a later run took its place");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_waits_to_say_how_its_command_ended_is_in_nobodys_way() {
    let world = World::start().await;
    let session = world.scene.cluster.connect().await;
    let schedule = world.schedule("postgres", "s", WAITS).await;
    world.db().exec("select pg_advisory_lock(7)").await;
    let run = world.due(schedule).await;
    world.reaches(run, "running").await;
    session.exec("begin; select edge.pause_schedule('s')").await;
    world.db().exec("select pg_advisory_unlock(7)").await;
    let waits = "
        select backend_xmin::text from pg_stat_activity
        where backend_type = 'pg_edge command' and wait_event_type = 'Lock' and wait_event <> 'advisory'
          and backend_xmin is not null";
    eventually("the process waits", SERVER_DEADLINE, || async { world.db().rows(waits).await.len() == 1 }).await;
    let rests = "
        select count(*) from pg_stat_activity
        where backend_type = 'pg_edge command' and xact_start is null and backend_xmin is null and backend_xid is null";
    for round in ["once", "and again"] {
        let what = format!("it lets go of its snapshot, {round}");
        eventually(&what, SERVER_DEADLINE, || async { world.db().one::<i64>(rests).await == 1 }).await;
        eventually("it tries again", SERVER_DEADLINE, || async { world.db().rows(waits).await.len() == 1 }).await;
    }
    session.exec("commit").await;
    assert_eq!(world.end(run).await, "succeeded|1||");
    assert!(!world.scene.cluster.log().contains("its end cannot be recorded"));
    // One that is sent away meanwhile is not waited for.
    world.db().exec("select pg_advisory_lock(7)").await;
    let run = world.due(schedule).await;
    world.reaches(run, "running").await;
    session.exec("begin; select edge.resume_schedule('s')").await;
    world.db().exec("select pg_advisory_unlock(7)").await;
    eventually("the process rests", SERVER_DEADLINE, || async { world.db().one::<i64>(rests).await == 1 }).await;
    let ends = "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'pg_edge command'";
    world.db().exec(ends).await;
    eventually("it is gone", SERVER_DEADLINE, || async { world.processes().await.is_empty() }).await;
    // The dispatcher looks, and cannot say so yet.
    world.run("other", "select 1").await;
    session.exec("commit").await;
    assert_eq!(world.end(run).await, "failed|||its process ended before it did");
}
