//! `pg_edge.max_queued_per_role`: counted right over commits, rollbacks, ends and crashes, and no call lost to it.

use crate::faults::{all_ended, dispatcher, successor};
use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::process::{Signal, send};
use crate::harness::{Cluster, Db, Reply, SqlError, Stop, eventually};
use crate::scene::{Scene, call, ended, refused};

const LIMIT: &str = "pg_edge.max_queued_per_role";

/// A role may have ten calls, and nothing is sent until somebody resumes.
async fn ten_each() -> (Scene, Db) {
    let scene = Scene::on(Cluster::builder().setting(LIMIT, "10")).await;
    scene.db.exec("select edge.pause()").await;
    let ada = scene.role("ada").await;
    (scene, ada)
}

fn many(scene: &Scene, n: usize) -> String {
    format!("select edge.http_get_async('{}') from generate_series(1, {n})", scene.peer.url("/"))
}

fn assert_full(error: &SqlError) {
    assert_eq!(error.sqlstate, "53400", "{error}");
    assert_eq!(error.message, "too many calls of role \"ada\" have not ended");
    assert!(error.hint.contains("10 are queued, and pg_edge.max_queued_per_role allows 10"), "{error}");
}

async fn counted(db: &Db, n: i64) {
    let sql = "select coalesce(max(queued), 0) from edge.queued_per_role where owner = 'ada'";
    eventually(&format!("{n} calls of ada are counted"), SERVER_DEADLINE, || async { db.one::<i64>(sql).await == n })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_over_the_limit_queues_nothing() {
    let (scene, ada) = ten_each().await;
    assert_full(&ada.fails(&many(&scene, 11)).await);
    assert_eq!(ada.one::<i64>("select count(*) from edge.calls").await, 0);
    ada.exec(&many(&scene, 10)).await;
    assert_full(&ada.fails(&many(&scene, 1)).await);
    scene.db.exec("select edge.resume()").await;
    all_ended(&scene.cluster, "postgres").await;
    assert_eq!(scene.peer.count("/"), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_several_transactions_and_of_the_running_one_count() {
    let (scene, ada) = ten_each().await;
    let other = scene.cluster.connect_as("ada", "postgres").await;
    ada.exec(&many(&scene, 4)).await;
    other.exec(&many(&scene, 4)).await;
    ada.exec("begin").await;
    ada.exec(&many(&scene, 1)).await;
    ada.exec(&many(&scene, 1)).await;
    assert_full(&ada.fails(&many(&scene, 1)).await);
    ada.exec("rollback").await;
    ada.exec(&many(&scene, 2)).await;
    assert_full(&other.fails(&many(&scene, 1)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_savepoint_undoes_does_not_count_and_what_it_keeps_does() {
    let (scene, ada) = ten_each().await;
    let (three, one) = (many(&scene, 3), many(&scene, 1));
    ada.exec(&format!("begin; {three}; savepoint a; {three}; savepoint b; {three}; rollback to a; {three}")).await;
    ada.exec(&format!("savepoint c; {one}; savepoint d; {one}; release d; release c; {one}")).await;
    ada.exec(&format!(
        "do $$ begin
             begin perform count(*) from ({one}) as calls; raise exception 'undo'; exception when raise_exception then null; end;
             begin perform count(*) from ({one}) as calls; exception when raise_exception then null; end;
         end $$"
    ))
    .await;
    assert_full(&ada.fails(&one).await);
    ada.exec("rollback to a; commit").await;
    counted(&ada, 3).await;
    ada.exec(&many(&scene, 7)).await;
    assert_full(&ada.fails(&one).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_have_ended_make_room() {
    let (scene, ada) = ten_each().await;
    scene.peer.on("/bad", Reply::status(404));
    ada.exec(&many(&scene, 8)).await;
    let cancelled = call(&ada, "edge.http_get_async($1, run_at => now() + '1 day')", &scene.peer.url("/")).await;
    let bad = call(&ada, "edge.http_get_async($1)", &scene.peer.url("/bad")).await;
    assert_full(&ada.fails(&many(&scene, 1)).await);
    ada.exec(&format!("select edge.cancel({cancelled})")).await;
    scene.db.exec("select edge.resume()").await;
    all_ended(&scene.cluster, "postgres").await;
    counted(&ada, 0).await;
    scene.db.exec("select edge.pause()").await;
    ada.exec(&many(&scene, 8)).await;
    // Copies count like any call, whoever asks for them.
    ada.exec(&format!("select edge.replay({bad})")).await;
    scene.db.exec(&format!("select edge.replay({bad})")).await;
    assert_full(&ada.fails(&format!("select edge.replay({bad})")).await);
    assert_full(&scene.db.fails(&format!("select edge.replay({bad})")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_running_and_retried_calls_count_until_their_end() {
    let scene = Scene::on(Cluster::builder().setting(LIMIT, "10").setting("pg_edge.breaker_failures", "0")).await;
    let ada = scene.role("ada").await;
    scene.peer.on("/hang", Reply::hang()).on("/busy", Reply::status(503));
    for _ in 0..4 {
        call(&ada, "edge.http_get_async($1)", &scene.peer.url("/hang")).await;
        call(&ada, "edge.http_get_async($1, max_attempts => 1000)", &scene.peer.url("/busy")).await;
    }
    ada.exec(&format!(
        "select edge.http_get_async('{0}', run_at => now() + '1 day') from generate_series(1, 2)",
        scene.peer.url("/")
    ))
    .await;
    scene.peer.wait_for_path("/hang", 4).await;
    scene.peer.wait_for_path("/busy", 8).await;
    assert_full(&ada.fails(&many(&scene, 1)).await);
    // The same calls, as they are counted in the tables.
    scene.cluster.set(LIMIT, "0").await;
    scene.cluster.set(LIMIT, "10").await;
    counted(&ada, 10).await;
    assert_full(&ada.fails(&many(&scene, 1)).await);
    let other = call(&scene.db, "edge.http_get_async($1)", &scene.peer.url("/")).await;
    ended(&scene.db, other).await;
    counted(&ada, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_count_outlives_kill_9_and_restarts() {
    let (mut scene, ada) = ten_each().await;
    ada.exec(&many(&scene, 10)).await;
    let worker = dispatcher(&scene.cluster, "postgres").await;
    send(worker, Signal::SIGKILL);
    successor(&scene.cluster, "dispatcher", "postgres", worker).await;
    let ada = scene.cluster.connect_as("ada", "postgres").await;
    counted(&ada, 10).await;
    assert_full(&ada.fails(&many(&scene, 1)).await);
    for stop in [Stop::Immediate, Stop::Fast] {
        scene.cluster.restart(stop);
        let ada = scene.cluster.connect_as("ada", "postgres").await;
        counted(&ada, 10).await;
        assert_full(&ada.fails(&many(&scene, 1)).await);
    }
    scene.cluster.connect().await.exec("select edge.resume()").await;
    all_ended(&scene.cluster, "postgres").await;
    let ada = scene.cluster.connect_as("ada", "postgres").await;
    counted(&ada, 0).await;
    ada.exec(&many(&scene, 10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_and_databases_are_counted_apart() {
    let (scene, ada) = ten_each().await;
    let bob = scene.role("bob").await;
    scene.cluster.create_database("other").await;
    let other = scene.cluster.create_extension("other").await;
    other.exec("select edge.pause(), edge.grant_access('ada')").await;
    let elsewhere = scene.cluster.connect_as("ada", "other").await;
    for db in [&ada, &bob, &elsewhere, &scene.db] {
        db.exec(&many(&scene, 10)).await;
        assert_eq!(db.fails(&many(&scene, 1)).await.sqlstate, "53400");
    }
    let shown = "select format('%s %s %s', owner, queued, max_queued) from edge.queued_per_role order by owner";
    assert_eq!(ada.column::<String>(shown).await, ["ada 10 10"]);
    assert_eq!(elsewhere.column::<String>(shown).await, ["ada 10 10"]);
    assert_eq!(scene.db.column::<String>(shown).await, ["ada 10 10", "bob 10 10", "postgres 10 10"]);
    scene.db.exec("select edge.resume()").await;
    counted(&scene.db, 0).await;
    assert_eq!(elsewhere.fails(&many(&scene, 1)).await.sqlstate, "53400");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_transaction_counts_until_it_is_rolled_back() {
    let (scene, ada) = ten_each().await;
    ada.exec(&format!("begin; {}; prepare transaction 'kept'", many(&scene, 5))).await;
    ada.exec(&format!("begin; {}; prepare transaction 'undone'", many(&scene, 5))).await;
    assert_full(&ada.fails(&many(&scene, 1)).await);
    ada.exec("commit prepared 'kept'").await;
    assert_full(&ada.fails(&many(&scene, 1)).await);
    ada.exec("rollback prepared 'undone'").await;
    counted(&ada, 5).await;
    ada.exec(&many(&scene, 5)).await;
    assert_full(&ada.fails(&many(&scene, 1)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_set_later_counts_what_waits_already() {
    let scene = Scene::start().await;
    scene.db.exec("select edge.pause()").await;
    let ada = scene.role("ada").await;
    ada.exec(&many(&scene, 12)).await;
    assert_eq!(ada.one::<Option<i64>>("select max_queued from edge.queued_per_role").await, None);
    scene.cluster.set(LIMIT, "10").await;
    eventually("the limit holds", SERVER_DEADLINE, || async {
        ada.try_exec(&format!("begin; {}; rollback", many(&scene, 1)))
            .await
            .is_err_and(|error| error.sqlstate == "53400" && error.hint.contains("12 are queued"))
            || {
                ada.exec("rollback").await;
                false
            }
    })
    .await;
    ada.exec("rollback").await;
    scene.cluster.set(LIMIT, "0").await;
    eventually("the limit is gone", SERVER_DEADLINE, || async { ada.try_exec(&many(&scene, 100)).await.is_ok() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_idempotency_key_needs_no_room() {
    let (scene, ada) = ten_each().await;
    let keyed = "edge.http_get_async($1, idempotency_key => 'k')";
    let id = call(&ada, keyed, &scene.peer.url("/")).await;
    ada.exec(&many(&scene, 9)).await;
    assert_eq!(call(&ada, keyed, &scene.peer.url("/")).await, id);
    assert_full(&refused(&ada, "edge.http_get_async($1, idempotency_key => 'new')", &scene.peer.url("/")).await);
    counted(&ada, 10).await;
    scene.db.exec("select edge.resume()").await;
    counted(&ada, 0).await;
    // A key that was claimed for a call that found no room is free again.
    let new = call(&ada, "edge.http_get_async($1, idempotency_key => 'new')", &scene.peer.url("/")).await;
    assert_ne!(new, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_is_taken_away_once_also_when_writing_it_failed() {
    let (scene, ada) = ten_each().await;
    for action in ["error", "disk_full"] {
        scene.cluster.fail_at("before_response_commit", action);
        ada.exec(&many(&scene, 10)).await;
        scene.db.exec("select edge.resume()").await;
        all_ended(&scene.cluster, "postgres").await;
        assert!(!scene.cluster.failpoint_is_armed(), "nothing failed");
        counted(&ada, 0).await;
        scene.db.exec("select edge.pause()").await;
    }
    ada.exec(&many(&scene, 10)).await;
    assert_full(&ada.fails(&many(&scene, 1)).await);
}
