//! Whatever ends the dispatcher or the server: no slot is lost, and none is run twice.

use std::time::{SystemTime, UNIX_EPOCH};

use super::job::{Job, comes_true, tell};
use crate::faults::{SOON, dispatcher, holds, successor};
use crate::harness::process::send;
use crate::harness::wait::eventually_blocking;
use crate::harness::{Cluster, Db, Peer, Stop, eventually};
use crate::scene::Scene;

/// Grids of every second, some of which spread their slots.
const GRIDS: i64 = 20;

async fn grids(db: &Db, peer: &Peer) {
    for n in 0..GRIDS {
        let job = Job::new(&format!("grid {n}"), "every 1 second", &peer.url("/")).with("catchup", "'all'");
        let job = if n % 2 == 0 { job.with("jitter", "'800 milliseconds'") } else { job };
        job.write(db).await;
    }
    tell(db).await;
}

/// Waits until each of them has run that often after now.
async fn all_run(cluster: &Cluster, times: i64) {
    // The server's clock is the machine's, and the server may not be up.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs_f64();
    let sql = format!(
        "select count(*) = {GRIDS} from (
                           select from edge_store.schedule_run where state = 'succeeded' and scheduled_for > to_timestamp({now})
                           group by schedule_id having count(*) >= {times}) as busy"
    );
    eventually("all have run", SOON, || holds(cluster, "postgres", &sql)).await;
}

/// Stops them, waits for their ends, and counts: each slot has one row and one call, and was run.
async fn assert_exactly_once(cluster: &Cluster, peer: &Peer) {
    let db = cluster.connect().await;
    db.exec("update edge_store.schedule set active = false, due_at = null, next_run_at = null").await;
    comes_true(&db, "all have ended", "select bool_and(finished_at is not null) from edge_store.schedule_run").await;
    let odd = "select string_agg(distinct state || coalesce(': ' || error, ''), ', ') from edge_store.schedule_run
               where state <> 'succeeded' or slots <> 1";
    assert_eq!(db.one::<Option<String>>(odd).await, None);
    let lost = "select coalesce(sum(gaps), 0)::bigint from (
                    select extract(epoch from max(scheduled_for) - min(scheduled_for)) + 1 - count(*) as gaps
                    from edge_store.schedule_run group by schedule_id) as grids";
    assert_eq!(db.one::<i64>(lost).await, 0, "no slot was lost");
    let doubled = "select count(*) - count(distinct idempotency_key) from edge_store.request";
    assert_eq!(db.one::<i64>(doubled).await, 0, "no slot was run twice");
    let orphans = "select count(*) from edge_store.request where not exists
                   (select from edge_store.schedule_run where call_id = request.id)";
    assert_eq!(db.one::<i64>(orphans).await, 0, "no call without its run");
    let known: Vec<String> = db.column("select idempotency_key from edge_store.request").await;
    for request in peer.requests() {
        let key = request.header("idempotency-key").expect("a key").to_owned();
        assert!(known.contains(&key), "{key} was sent, and nothing is known of it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_are_run_once_through_kills_and_restarts() {
    let mut scene = Scene::start().await;
    grids(&scene.db, &scene.peer).await;
    all_run(&scene.cluster, 1).await;
    send(dispatcher(&scene.cluster, "postgres").await, nix::sys::signal::Signal::SIGKILL);
    eventually("the server has noticed", SOON, || async { scene.db.try_exec("select 1").await.is_err() }).await;
    all_run_again(&scene.cluster).await;
    scene.cluster.restart(Stop::Immediate);
    all_run_again(&scene.cluster).await;
    scene.cluster.kill_postmaster();
    // A process that was just being forked may hold the shared memory for a moment.
    eventually_blocking("the server starts", SOON, || scene.cluster.try_start().is_ok());
    all_run_again(&scene.cluster).await;
    assert_exactly_once(&scene.cluster, &scene.peer).await;
}

/// The same while the server may still be on its way up.
async fn all_run_again(cluster: &Cluster) {
    eventually("the server is up", SOON, || holds(cluster, "postgres", "select true")).await;
    dispatcher(cluster, "postgres").await;
    all_run(cluster, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_are_run_once_when_the_dispatcher_is_sent_away() {
    let scene = Scene::start().await;
    grids(&scene.db, &scene.peer).await;
    for _ in 0..3 {
        all_run(&scene.cluster, 1).await;
        let before = dispatcher(&scene.cluster, "postgres").await;
        send(before, nix::sys::signal::Signal::SIGTERM);
        successor(&scene.cluster, "dispatcher", "postgres", before).await;
    }
    all_run(&scene.cluster, 2).await;
    assert_exactly_once(&scene.cluster, &scene.peer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_are_run_once_by_a_standby_that_takes_over_in_the_middle() {
    let mut scene = Scene::start().await;
    let boot = Job::new("boot", "@reboot", &scene.peer.url("/boot")).with("due_at", "null").with("next_run_at", "null");
    let boot = boot.write(&scene.db).await;
    let mut standby = scene.cluster.basebackup_standby();
    scene.db.exec(&format!("update edge_store.schedule set passed = clock_timestamp() where id = {boot}")).await;
    grids(&scene.db, &scene.peer).await;
    all_run(&scene.cluster, 2).await;
    scene.cluster.stop(Stop::Fast);
    let sent_before = scene.peer.count("/");
    standby.promote();
    dispatcher(&standby, "postgres").await;
    all_run(&standby, 2).await;
    let db = standby.connect().await;
    super::job::reaches(&db, boot, "succeeded", 1).await;
    db.exec(&format!("delete from edge_store.schedule_run where schedule_id = {boot}")).await;
    db.exec("delete from edge_store.request where metadata ->> 'schedule' = 'boot'").await;
    assert_eq!(scene.peer.count("/boot"), 1, "a promotion is a start");
    let peer = &scene.peer;
    let db = standby.connect().await;
    db.exec("update edge_store.schedule set active = false, due_at = null, next_run_at = null").await;
    comes_true(&db, "all have ended", "select bool_and(finished_at is not null) from edge_store.schedule_run").await;
    let lost = "select coalesce(sum(gaps), 0)::bigint from (
                    select extract(epoch from max(scheduled_for) - min(scheduled_for)) + 1 - sum(slots) as gaps
                    from edge_store.schedule_run group by schedule_id) as grids";
    assert_eq!(db.one::<i64>(lost).await, 0, "no slot was lost");
    let doubled = "select count(*) - count(distinct idempotency_key) from edge_store.request";
    assert_eq!(db.one::<i64>(doubled).await, 0, "no slot was run twice");
    assert!(peer.count("/") > sent_before, "the standby sends");
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_are_run_once_when_the_server_goes_before_or_after_their_commit() {
    let scene = Scene::start().await;
    grids(&scene.db, &scene.peer).await;
    all_run(&scene.cluster, 1).await;
    for point in ["before_run_commit", "after_run_commit", "before_run_commit", "after_run_commit"] {
        let watch = scene.cluster.connect().await;
        scene.cluster.fail_at(point, "kill");
        eventually("the server has ended all its sessions", SOON, || async { watch.client().is_closed() }).await;
        all_run_again(&scene.cluster).await;
    }
    scene.cluster.fail_at("before_run_commit", "disk_full");
    all_run(&scene.cluster, 2).await;
    assert_exactly_once(&scene.cluster, &scene.peer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_has_locked_when_a_dispatcher_begins_is_made_up_for_and_stops_no_other() {
    let scene = Scene::start().await;
    let tick = Job::new("tick", "every 1 second", &scene.peer.url("/tick")).start(&scene.db).await;
    // This dispatcher has begun, and looks at what is written below no more.
    super::job::reaches(&scene.db, tick, "succeeded", 1).await;
    let boot = Job::new("boot", "@reboot", &scene.peer.url("/boot"))
        .with("due_at", "null")
        .with("next_run_at", "null")
        .with("passed", "'2000-01-01'")
        .write(&scene.db)
        .await;
    // Its clock was badly wrong.
    let ahead = Job::new("ahead", "every 1 second", &scene.peer.url("/ahead"))
        .with("due_at", "now() + interval '10 years'")
        .with("next_run_at", "now() + interval '10 years'")
        .with("passed", "now() + interval '10 years'")
        .write(&scene.db)
        .await;
    let other = scene.cluster.connect().await;
    other.exec("begin; select edge.pause_schedule('boot'), edge.pause_schedule('ahead')").await;
    let before = dispatcher(&scene.cluster, "postgres").await;
    send(before, nix::sys::signal::Signal::SIGTERM);
    successor(&scene.cluster, "dispatcher", "postgres", before).await;
    let ticks = super::job::runs(&scene.db, tick, "succeeded").await;
    super::job::reaches(&scene.db, tick, "succeeded", ticks + 3).await;
    assert_eq!(super::job::runs(&scene.db, boot, "running,succeeded").await, 0);
    other.exec("rollback").await;
    super::job::reaches(&scene.db, boot, "succeeded", 1).await;
    super::job::reaches(&scene.db, ahead, "succeeded", 2).await;
    assert_eq!(scene.peer.count("/boot"), 1);
    assert_eq!(super::job::gaps(&scene.db, tick).await, 0);
}
