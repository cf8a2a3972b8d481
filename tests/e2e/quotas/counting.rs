//! What calls come to.

use super::{ANSWER, BODY, comes_to, create, queue};
use crate::faults::{SOON, all_ended, dispatcher, successor};
use crate::harness::process::{Signal, send};
use crate::harness::{Gate, Peer, Reply, Stop, eventually};
use crate::scene::{Scene, ended, get};

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
async fn months_are_not_forgotten_for_a_clock_that_is_far_ahead() {
    let scene = Scene::start().await;
    create(&scene, "").await;
    // As what was counted before the clock went astray.
    scene.db.exec("insert into edge_store.usage values ('crm', '2000-01-01', 1, 1, 1, 1)").await;
    queue(&scene.db, 1).await;
    eventually("the present month is counted", SOON, || async {
        scene.db.one::<i64>("select count(*) from edge.usage where month > '2000-01-01'").await == 1
    })
    .await;
    assert_eq!(scene.db.one::<i64>("select count(*) from edge.usage").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_that_cannot_be_written_stop_no_call() {
    let scene = Scene::start().await;
    create(&scene, "").await;
    scene.db.exec("alter table edge_store.usage add constraint never check (attempts < 0)").await;
    queue(&scene.db, 3).await;
    eventually("all have ended", SOON, || async {
        scene.db.one::<i64>("select count(*) from edge.calls where state = 'succeeded'").await == 3
    })
    .await;
    scene.db.exec("alter table edge_store.usage drop constraint never").await;
    eventually("nothing is forgotten", SOON, || async {
        scene.db.one::<i64>("select coalesce(sum(attempts), 0)::bigint from edge.usage").await == 3
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

#[tokio::test(flavor = "multi_thread")]
async fn origins_beyond_ten_thousand_in_a_month_are_counted_together() {
    let scene = Scene::start().await;
    scene
        .db
        .exec(
            "insert into edge_store.usage
             select 'http://' || n || '.example', date_trunc('month', now() at time zone 'UTC')::date, 1, 1, 0, 0
             from generate_series(1, 9999) as n",
        )
        .await;
    let last = scene.get("/").await;
    ended(&scene.db, last).await;
    comes_to(&scene, &scene.peer.url(""), [1, 1, 0, ANSWER]).await;
    let other = Peer::start().await;
    other.otherwise(|_| Reply::text(200, "four"));
    for _ in 0..2 {
        let id = get(&scene.db, &other.url("/")).await;
        ended(&scene.db, id).await;
    }
    comes_to(&scene, "(other)", [2, 2, 0, 8]).await;
    assert_eq!(scene.db.one::<i64>("select count(*) from edge.usage").await, 10_001);
}
