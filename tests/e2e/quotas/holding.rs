//! Quotas that warn, and such that hold calls back.

use std::time::{Duration, SystemTime};

use super::{ANSWER, BODY, comes_to, create, held, queue, states};
use crate::faults::{SOON, all_ended, dispatcher, holds, successor};
use crate::harness::process::{Signal, send};
use crate::harness::{Cluster, Reply, Stop, eventually};
use crate::scene::{Scene, ended};

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_warns_says_so_once_and_keeps_nobody_back() {
    let scene = Scene::start().await;
    create(&scene, ", monthly_quota => 10").await;
    for _ in 0..3 {
        queue(&scene.db, 9).await;
        all_ended(&scene.cluster, "postgres").await;
        let sum = i64::try_from(scene.peer.requests().len()).unwrap();
        comes_to(&scene, "crm", [sum, sum, sum * BODY, sum * ANSWER]).await;
    }
    assert_eq!(scene.peer.count("/x"), 27);
    let log = scene.cluster.log();
    let said: Vec<&str> = log.lines().filter(|line| line.contains("of its monthly quota")).collect();
    let warned: Vec<_> = said.iter().filter(|line| line.contains("WARNING")).collect();
    assert_eq!(warned.len(), 1, "{said:?}");
    assert!(
        warned[0].contains("endpoint crm has used") && warned[0].contains("of the 10 attempts of its monthly quota")
    );
    assert_eq!(scene.db.one::<f64>("select used_fraction from edge.usage where endpoint = 'crm'").await, 2.7);
    let problem = "select problem from edge.problems where subject = 'endpoint crm'";
    let used_up: String = scene.db.one(problem).await;
    assert_eq!(used_up, "its monthly quota of 10 attempts is used up, and calls go on");
    scene.db.exec("select edge.alter_endpoint('crm', monthly_quota => 30)").await;
    assert_eq!(scene.db.one::<String>(problem).await, "90 % of its monthly quota of 30 attempts are used");
    scene.db.exec("select edge.alter_endpoint('crm', monthly_quota => 100)").await;
    assert!(scene.db.one::<bool>("select (edge.health() ->> 'ok')::boolean").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_quota_holds_calls_until_it_is_raised_or_taken_away() {
    let scene = Scene::start().await;
    create(&scene, ", monthly_quota => 3, quota_action => 'hold'").await;
    queue(&scene.db, 8).await;
    held(&scene).await;
    let other = scene.get("/other").await;
    ended(&scene.db, other).await;
    // The quota is used up when its last call goes out, and not when that is answered.
    eventually("all that went out are answered", SOON, || async {
        states(&scene.db).await == ["pending 5", "succeeded 4"]
    })
    .await;
    let until =
        "select held_until = (date_trunc('month', now() at time zone 'UTC') + interval '1 month') at time zone 'UTC'
                 from edge.stat_endpoints where endpoint = 'crm'";
    assert!(scene.db.one::<bool>(until).await, "it says until when");
    let logged = "has used 3 of the 3 attempts of its monthly quota; its calls wait until";
    eventually("the log says so", SOON, || async { scene.cluster.log().contains(logged) }).await;
    let problem = "select string_agg(problem, '; ') from edge.problems where subject = 'endpoint crm'";
    let said = "its monthly quota of 3 attempts is used up, and its calls wait for the next month (UTC)";
    eventually("edge.problems says so", SOON, || async {
        scene.db.maybe::<String>(problem).await.as_deref() == Some(said)
    })
    .await;
    scene.db.exec("select edge.alter_endpoint('crm', monthly_quota => 5)").await;
    eventually("two more have gone out", SOON, || async { scene.peer.count("/x") == 5 }).await;
    held(&scene).await;
    scene.db.exec("select edge.alter_endpoint('crm', quota_action => 'warn')").await;
    all_ended(&scene.cluster, "postgres").await;
    assert_eq!(scene.peer.count("/x"), 8);
    let free = "select held_until is null from edge.stat_endpoints where endpoint = 'crm'";
    eventually("nothing is held back", SOON, || scene.db.one::<bool>(free)).await;
    scene.db.exec("select edge.alter_endpoint('crm', monthly_quota => 0, quota_action => 'hold')").await;
    queue(&scene.db, 1).await;
    held(&scene).await;
    assert_eq!(scene.peer.count("/x"), 8);
    scene.db.exec("select edge.alter_endpoint('crm', reset => '{monthly_quota}')").await;
    all_ended(&scene.cluster, "postgres").await;
    assert_eq!(scene.peer.count("/x"), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_attempt_counts_and_a_held_retry_waits_with_what_it_has_left() {
    let scene = Scene::start().await;
    scene.peer.on("/x", Reply::status(503));
    create(
        &scene,
        ", monthly_quota => 2, quota_action => 'hold',
           retry => edge.retry_policy(max_attempts => 4, base => '10 ms', jitter => '0')",
    )
    .await;
    queue(&scene.db, 1).await;
    held(&scene).await;
    eventually("it waits to be tried again", SOON, || async { states(&scene.db).await == ["retrying 1"] }).await;
    assert_eq!(scene.peer.count("/x"), 2);
    scene.db.exec("select edge.alter_endpoint('crm', monthly_quota => 100)").await;
    all_ended(&scene.cluster, "postgres").await;
    assert_eq!(scene.peer.count("/x"), 4, "it had two attempts left");
}

#[tokio::test(flavor = "multi_thread")]
async fn held_calls_go_on_at_the_turn_of_the_month_in_utc() {
    let scene = Scene::on(Cluster::builder().own_clock().setting("timezone", "America/New_York")).await;
    create(&scene, ", monthly_quota => 2, quota_action => 'hold'").await;
    queue(&scene.db, 5).await;
    held(&scene).await;
    eventually("two have been answered", SOON, || async { states(&scene.db).await == ["pending 3", "succeeded 2"] })
        .await;
    let turn = "select held_until, extract(epoch from held_until - clock_timestamp())::float8
                from edge.stat_endpoints where endpoint = 'crm'";
    let turn = &scene.db.rows(turn).await[0];
    let (turn, left): (SystemTime, f64) = (turn.get(0), turn.get(1));
    scene.cluster.clock().step_forward(Duration::from_secs_f64(left - 4.0));
    // The dispatcher hears of the new time, which is still in the old month.
    queue(&scene.db, 1).await;
    eventually("two more go out in the new month", SOON, || async { scene.peer.count("/x") == 4 }).await;
    held(&scene).await;
    eventually("each month has its row", SOON, || async {
        let months: Vec<i64> =
            scene.db.column("select attempts from edge.usage where endpoint = 'crm' order by month").await;
        months == [2, 2]
    })
    .await;
    scene.db.exec("select edge.alter_endpoint('crm', reset => '{monthly_quota}')").await;
    all_ended(&scene.cluster, "postgres").await;
    assert_eq!(scene.peer.count("/x"), 6, "none was lost");
    let before = "select count(*) from edge.attempts where started_at < $1";
    assert_eq!(scene.db.one_with::<i64>(before, &[&turn]).await, 2, "the month had not turned in UTC");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_crash_sends_more_than_the_quota_and_none_loses_a_call() {
    let mut scene = Scene::on(Cluster::builder().durable()).await;
    scene.peer.on("/x", Reply::status(200).after(Duration::from_millis(30)));
    create(&scene, ", monthly_quota => 60, quota_action => 'hold', max_concurrency => 8").await;
    queue(&scene.db, 100).await;
    for (least, stop) in [(5, None), (15, Some(Stop::Immediate)), (25, None), (35, Some(Stop::Immediate))] {
        eventually("some were sent", SOON, || async { scene.peer.count("/x") >= least }).await;
        match stop {
            None => {
                let worker = dispatcher(&scene.cluster, "postgres").await;
                send(worker, Signal::SIGKILL);
                successor(&scene.cluster, "dispatcher", "postgres", worker).await;
            }
            Some(mode) => scene.cluster.restart(mode),
        }
    }
    let held =
        "select coalesce(bool_or(held_until is not null), false) from edge.stat_endpoints where endpoint = 'crm'";
    eventually("calls are held back", SOON, || async { holds(&scene.cluster, "postgres", held).await }).await;
    eventually("nothing is on the wire", SOON, || async { scene.peer.in_flight() == 0 }).await;
    assert!(scene.peer.count("/x") <= 60, "{} attempts", scene.peer.count("/x"));
    let on_the_wire = 4 * 8;
    assert!(
        scene.peer.count("/x") >= 60 - on_the_wire,
        "only what was on the wire at a crash may be counted and not sent"
    );
    scene.db = scene.cluster.connect().await;
    assert_eq!(scene.db.one::<i64>("select attempts from edge.usage where endpoint = 'crm'").await, 60);
    scene.db.exec("select edge.alter_endpoint('crm', reset => '{monthly_quota}')").await;
    all_ended(&scene.cluster, "postgres").await;
    assert_eq!(states(&scene.db).await, ["succeeded 100"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_fails_counts_nothing_twice() {
    for action in ["error", "disk_full"] {
        let scene = Scene::start().await;
        create(&scene, ", monthly_quota => 40, quota_action => 'hold'").await;
        scene.cluster.fail_at("before_response_commit", action);
        queue(&scene.db, 30).await;
        all_ended(&scene.cluster, "postgres").await;
        assert!(!scene.cluster.failpoint_is_armed());
        comes_to(&scene, "crm", [30, 30, 30 * BODY, 30 * ANSWER]).await;
        queue(&scene.db, 20).await;
        eventually("ten more have gone out", SOON, || async { scene.peer.count("/x") == 40 }).await;
        held(&scene).await;
        comes_to(&scene, "crm", [40, 40, 40 * BODY, 40 * ANSWER]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_how_far_a_quota_is_used() {
    let scene = Scene::start().await;
    create(&scene, ", monthly_quota => 10").await;
    let problem = "select problem from edge.problems where subject = 'endpoint crm'";
    queue(&scene.db, 7).await;
    all_ended(&scene.cluster, "postgres").await;
    comes_to(&scene, "crm", [7, 7, 7 * BODY, 7 * ANSWER]).await;
    assert_eq!(scene.db.maybe::<String>(problem).await, None);
    queue(&scene.db, 1).await;
    let says = |sentence: &'static str| {
        let db = &scene.db;
        eventually(
            sentence,
            SOON,
            move || async move { db.maybe::<String>(problem).await.as_deref() == Some(sentence) },
        )
    };
    says("80 % of its monthly quota of 10 attempts are used").await;
    queue(&scene.db, 3).await;
    says("its monthly quota of 10 attempts is used up, and calls go on").await;
    scene.db.exec("select edge.alter_endpoint('crm', quota_action => 'hold')").await;
    says("its monthly quota of 10 attempts is used up, and its calls wait for the next month (UTC)").await;
    assert!(!scene.db.one::<bool>("select (edge.health()->>'ok')::boolean").await);
    scene.db.exec("select edge.alter_endpoint('crm', monthly_quota => 100)").await;
    assert!(scene.db.one::<bool>("select (edge.health()->>'ok')::boolean").await);
    all_ended(&scene.cluster, "postgres").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_of_nothing_is_a_problem_as_long_as_it_holds_calls() {
    let scene = Scene::start().await;
    create(&scene, ", monthly_quota => 0, quota_action => 'hold'").await;
    queue(&scene.db, 1).await;
    held(&scene).await;
    let problem = "select problem from edge.problems where subject = 'endpoint crm'";
    assert_eq!(
        scene.db.one::<String>(problem).await,
        "its monthly quota is 0 attempts, and its calls wait until it is raised"
    );
    assert!(!scene.db.one::<bool>("select (edge.health() ->> 'ok')::boolean").await);
    scene.db.exec("select edge.alter_endpoint('crm', quota_action => 'warn')").await;
    all_ended(&scene.cluster, "postgres").await;
    comes_to(&scene, "crm", [1, 1, BODY, ANSWER]).await;
    assert_eq!(scene.db.one::<String>(problem).await, "its monthly quota of 0 attempts is used up, and calls go on");
}
