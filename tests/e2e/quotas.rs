//! What calls come to in a month, and quotas that hold them back.

use std::time::Duration;

use crate::faults::{SOON, all_ended, dispatcher, holds, successor};
use crate::harness::process::{Signal, send};
use crate::harness::{Cluster, Db, Gate, Reply, Stop, eventually};
use crate::scene::{Scene, ended};

/// Bytes of `{}`, which is sent where no body is given, and of the peer's `{"ok":true}`.
const BODY: i64 = 2;
const ANSWER: i64 = 11;

async fn create(scene: &Scene, arguments: &str) {
    scene.db.exec(&format!("select edge.create_endpoint('crm', '{}'{arguments})", scene.peer.url(""))).await;
}

async fn queue(db: &Db, calls: usize) {
    db.exec(&format!("select edge.http_post_async('x', endpoint => 'crm') from generate_series(1, {calls})")).await;
}

/// Waits until the usage of an endpoint is this: calls, attempts, bytes sent and bytes received in all months.
async fn comes_to(scene: &Scene, endpoint: &str, wanted: [i64; 4]) {
    let sql = format!(
        "select array[coalesce(sum(calls), 0), coalesce(sum(attempts), 0), coalesce(sum(request_bytes), 0),
                      coalesce(sum(response_bytes), 0)]::bigint[]
         from edge.usage where endpoint = '{endpoint}'"
    );
    let mut found = Vec::new();
    let what = format!("the usage of {endpoint} is {wanted:?}");
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    while tokio::time::Instant::now() < end {
        found = scene.db.one::<Vec<i64>>(&sql).await;
        if found == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what} in vain: it is {found:?}");
}

async fn held(scene: &Scene) {
    let sql = "select held_until is not null from edge.stat_endpoints where endpoint = 'crm'";
    eventually("calls are held back", SOON, || async { scene.db.maybe::<bool>(sql).await == Some(true) }).await;
}

async fn states(db: &Db) -> Vec<String> {
    db.column("select state || ' ' || count(*) from edge.calls group by state order by 1").await
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_attempts_and_bytes_are_counted_by_endpoint_and_month() {
    let scene = Scene::start().await;
    scene.peer.sequence("/x", [Reply::text(503, "busy"), Reply::text(200, "done!")]);
    create(&scene, ", monthly_quota => 8, retry => edge.retry_policy(base => '10 ms', jitter => '0')").await;
    let call = "select edge.http_post_async('x', '{\"a\": 1}', endpoint => 'crm')";
    let id: i64 = scene.db.one(call).await;
    ended(&scene.db, id).await;
    comes_to(&scene, "crm", [1, 2, 16, 9]).await;
    let id: i64 = scene.db.one(call).await;
    ended(&scene.db, id).await;
    comes_to(&scene, "crm", [2, 3, 24, 14]).await;
    let row =
        "select month = date_trunc('month', now() at time zone 'UTC')::date and quota = 8 and used_fraction = 0.375
               from edge.usage where endpoint = 'crm'";
    assert!(scene.db.one::<bool>(row).await);
    // Of a bare URL, and of a call to which nobody answers.
    scene.peer.on("/hang", Reply::hang());
    let hangs = scene.call("edge.http_post_async($1, '[]', timeout => '100 ms', max_attempts => 1)", "/hang").await;
    ended(&scene.db, hangs).await;
    comes_to(&scene, scene.peer.url("").as_str(), [1, 1, 2, 0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_stay_over_a_stop_and_a_crash() {
    let mut scene = Scene::start().await;
    create(&scene, "").await;
    queue(&scene.db, 20).await;
    all_ended(&scene.cluster, "postgres").await;
    // What has not been written for the second that it may wait is written on the way out.
    scene.cluster.restart(Stop::Fast);
    scene.db = scene.cluster.connect().await;
    comes_to(&scene, "crm", [20, 20, 20 * BODY, 20 * ANSWER]).await;
    scene.cluster.restart(Stop::Immediate);
    scene.db = scene.cluster.connect().await;
    comes_to(&scene, "crm", [20, 20, 20 * BODY, 20 * ANSWER]).await;
    let worker = dispatcher(&scene.cluster, "postgres").await;
    send(worker, Signal::SIGTERM);
    successor(&scene.cluster, "dispatcher", "postgres", worker).await;
    queue(&scene.db, 1).await;
    comes_to(&scene, "crm", [21, 21, 21 * BODY, 21 * ANSWER]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bytes_of_a_stream_count_as_they_come() {
    let scene = Scene::start().await;
    let gate = Gate::closed();
    scene.peer.on("/s", Reply::stream("text/event-stream").send("data: hello\n\n").hold(&gate).send("data: you\n\n"));
    create(&scene, "").await;
    let id: i64 = scene.db.one("select edge.http_get_async('s', endpoint => 'crm', stream => 'sse')").await;
    comes_to(&scene, "crm", [1, 1, 0, 5]).await;
    gate.open();
    ended(&scene.db, id).await;
    comes_to(&scene, "crm", [1, 1, 0, 8]).await;
}

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
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_quota_holds_calls_until_it_is_raised_or_taken_away() {
    let scene = Scene::start().await;
    create(&scene, ", monthly_quota => 3, quota_action => 'hold'").await;
    queue(&scene.db, 8).await;
    held(&scene).await;
    let other = scene.get("/other").await;
    ended(&scene.db, other).await;
    assert_eq!(states(&scene.db).await, ["pending 5", "succeeded 4"]);
    let until =
        "select held_until = (date_trunc('month', now() at time zone 'UTC') + interval '1 month') at time zone 'UTC'
                 from edge.stat_endpoints where endpoint = 'crm'";
    assert!(scene.db.one::<bool>(until).await, "it says until when");
    assert!(scene.cluster.log().contains("has used 3 of the 3 attempts of its monthly quota; its calls wait until"));
    scene.db.exec("select edge.alter_endpoint('crm', monthly_quota => 5)").await;
    eventually("two more have gone out", SOON, || async { scene.peer.count("/x") == 5 }).await;
    held(&scene).await;
    scene.db.exec("select edge.alter_endpoint('crm', quota_action => 'warn')").await;
    all_ended(&scene.cluster, "postgres").await;
    assert_eq!(scene.peer.count("/x"), 8);
    let free = "select held_until is null from edge.stat_endpoints where endpoint = 'crm'";
    assert!(scene.db.one::<bool>(free).await);
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
    let left = "select extract(epoch from held_until - clock_timestamp())::float8 from edge.stat_endpoints where endpoint = 'crm'";
    let left: f64 = scene.db.one(left).await;
    scene.cluster.clock().step_forward(Duration::from_secs_f64(left - 4.0));
    // Still in the old month, however long the dispatcher looks at it.
    queue(&scene.db, 1).await;
    held(&scene).await;
    assert_eq!(scene.peer.count("/x"), 2);
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
    assert!(scene.peer.count("/x") >= 45, "only what was on the wire when it crashed may be counted and not sent");
    scene.db = scene.cluster.connect().await;
    assert_eq!(scene.db.one::<i64>("select attempts from edge.usage where endpoint = 'crm'").await, 60);
    scene.db.exec("select edge.alter_endpoint('crm', reset => '{monthly_quota}')").await;
    all_ended(&scene.cluster, "postgres").await;
    assert_eq!(states(&scene.db).await, ["succeeded 100"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_see_what_named_endpoints_come_to_and_monitors_see_origins() {
    let scene = Scene::start().await;
    create(&scene, "").await;
    queue(&scene.db, 1).await;
    let bare = scene.get("/bare").await;
    ended(&scene.db, bare).await;
    let (ada, eve) = (scene.role("ada").await, scene.role("eve").await);
    scene.db.exec("grant pg_monitor to eve").await;
    let both = "select count(*) from edge.usage";
    eventually("both are counted", SOON, || async { scene.db.one::<i64>(both).await == 2 }).await;
    assert_eq!(ada.column::<String>("select endpoint from edge.usage").await, ["crm"]);
    assert_eq!(eve.one::<i64>(both).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn months_older_than_a_year_are_forgotten() {
    let scene = Scene::start().await;
    create(&scene, "").await;
    scene
        .db
        .exec(
            "insert into edge_store.usage
             select 'crm', (date_trunc('month', now() at time zone 'UTC') - n * interval '1 month')::date, 1, 1, 1, 1
             from generate_series(1, 20) as n",
        )
        .await;
    queue(&scene.db, 1).await;
    eventually("thirteen months are kept besides this one", SOON, || async {
        scene.db.one::<i64>("select count(*) from edge.usage").await == 14
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_database_begins_with_nothing_used() {
    let scene = Scene::start().await;
    scene.cluster.create_database("app").await;
    let app = scene.cluster.create_extension("app").await;
    app.exec(&format!(
        "select edge.create_endpoint('crm', '{}', monthly_quota => 1, quota_action => 'hold')",
        scene.peer.url("")
    ))
    .await;
    queue(&app, 1).await;
    all_ended(&scene.cluster, "app").await;
    drop(app);
    eventually("app is copied", SOON, || async {
        scene.db.try_exec("create database copy template app").await.is_ok()
    })
    .await;
    let copy = scene.cluster.connect_as("postgres", "copy").await;
    let id: i64 = copy.one("select edge.http_post_async('x', endpoint => 'crm')").await;
    assert_eq!(ended(&copy, id).await.get::<_, &str>("state"), "succeeded");
    assert_eq!(scene.peer.count("/x"), 2);
}
