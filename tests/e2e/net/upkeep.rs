//! Keeping responses for a while, dumping, dropping and making anew.

use std::process::Command;

use super::{PATIENT, all_stored, request, response, start, start_on};
use crate::harness::cluster::{SERVER_DEADLINE, Stop};
use crate::harness::{Cluster, Gate, Reply, eventually, programs};
use crate::scene::reaches;

#[tokio::test(flavor = "multi_thread")]
async fn responses_go_when_their_time_is_up_without_any_traffic() {
    let scene = start().await;
    let kept = request(&scene, "net.http_get($1)", "/").await;
    response(&scene.db, kept).await;
    let count = "select count(*) from net._http_response";
    scene.db.exec("insert into net._http_response (id, created) select n, now() - interval '1 day' from generate_series(1, 25000) as n").await;
    scene.cluster.set("pg_edge.net_ttl", "1h").await;
    eventually("the old ones are gone", SERVER_DEADLINE, || async { scene.db.one::<i64>(count).await == 1 }).await;
    scene.cluster.set("pg_edge.net_ttl", "1s").await;
    eventually("all are gone", SERVER_DEADLINE, || async { scene.db.one::<i64>(count).await == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_is_told_of_and_asked_for_as_there() {
    let scene = start().await;
    scene.db.exec("select net.wait_until_running(); select net.check_worker_is_up(), net.wake()").await;
    assert!(scene.db.one::<bool>("select net.worker_restart()").await);
    // What is on the wire goes on: nothing is restarted.
    let gate = Gate::closed();
    scene.peer.on("/gated", Reply::gate(&gate));
    let id = request(&scene, PATIENT, "/gated").await;
    scene.peer.wait_for_path("/gated", 1).await;
    scene.db.exec("select net.worker_restart()").await;
    gate.open();
    response(&scene.db, id).await;
    assert_eq!(scene.peer.count("/gated"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn that_there_is_no_dispatcher_is_an_error_of_whoever_asks_for_one() {
    let mut scene = start().await;
    // No background worker of an extension's finds room.
    scene.db.exec("alter system set max_worker_processes = 1").await;
    scene.cluster.restart(Stop::Fast);
    let db = scene.cluster.connect().await;
    let error = db.fails("select net.check_worker_is_up()").await;
    assert_eq!((error.sqlstate.as_str(), error.message.as_str()), ("55000", "the pg_net background worker is not up"));
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_are_stored_with_no_runner_allowed() {
    let scene = start_on(Cluster::builder().setting("pg_edge.max_runners", "0")).await;
    let id = request(&scene, "net.http_get($1)", "/").await;
    assert_eq!(response(&scene.db, id).await.get::<_, i32>("status_code"), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_extension_can_be_dropped_and_made_anew_while_requests_are_out() {
    let scene = start().await;
    let gate = Gate::closed();
    scene.peer.on("/gated", Reply::gate(&gate));
    let id = request(&scene, PATIENT, "/gated").await;
    scene.peer.wait_for_path("/gated", 1).await;
    scene.db.exec("drop extension pg_edge_net").await;
    assert_eq!(scene.db.one::<i64>("select count(*) from pg_namespace where nspname = 'net'").await, 0);
    assert_eq!(scene.db.one::<i64>("select count(*) from pg_proc where proname like 'net\\_%' and pronamespace = 'edge_store'::regnamespace").await, 0);
    gate.open();
    reaches(&scene.db, id, "succeeded").await;
    eventually("nothing is left to be stored", SERVER_DEADLINE, || async {
        scene.db.one::<i64>("select count(*) from edge_store.callback").await == 0
    })
    .await;
    scene.db.exec("create extension pg_edge_net").await;
    let next = request(&scene, "net.http_get($1)", "/").await;
    assert_eq!(response(&scene.db, next).await.get::<_, i32>("status_code"), 200);
    assert_eq!(scene.db.fails("drop extension pg_edge").await.sqlstate, "2BP01");
    scene.db.exec("drop extension pg_edge cascade").await;
    assert_eq!(scene.db.one::<i64>("select count(*) from pg_extension where extname like 'pg_edge%'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_is_restored_with_both_extensions_and_sends_nothing_again() {
    let scene = start().await;
    let id = request(&scene, "net.http_get($1)", "/").await;
    response(&scene.db, id).await;
    scene.db.exec("select edge.pause()").await;
    request(&scene, "net.http_get($1)", "/waits").await;
    let file = scene.cluster.socket_dir().join("dump.sql");
    let run = |program: &str, arguments: &[&str]| {
        let mut command: Command = programs::client_program(program);
        programs::run(command.arg("-h").arg(scene.cluster.socket_dir()).args(["-U", "postgres"]).args(arguments))
    };
    let dump = run("pg_dump", &["-d", "postgres"]).stdout;
    std::fs::write(&file, dump).unwrap();
    scene.cluster.create_database("restored").await;
    run("psql", &["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "restored", "-f", file.to_str().unwrap()]);
    let restored = scene.cluster.connect_as("postgres", "restored").await;
    let id: i64 = restored.one_with("select net.http_get($1)", &[&scene.peer.url("/restored")]).await;
    assert_eq!(response(&restored, id).await.get::<_, i32>("status_code"), 200);
    all_stored(&restored).await;
    assert_eq!(scene.peer.count("/waits"), 0, "it is the first database's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_of_that_name_is_not_taken_over() {
    let scene = crate::scene::Scene::start().await;
    scene.db.exec("create role eve; create schema net authorization eve").await;
    assert_eq!(scene.db.fails("create extension pg_edge_net").await.sqlstate, "42P06");
}
