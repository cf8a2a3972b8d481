//! Schedules are part of a dump.

use std::path::PathBuf;

use crate::faults::SOON;
use crate::harness::{Cluster, eventually, programs};
use crate::scene::{Scene, ended, get};

/// Dumps the database, and gives the file.
fn dump_of(scene: &Scene) -> PathBuf {
    let dump = scene.cluster.socket_dir().join("dump.sql");
    let mut pg_dump = programs::server_program("pg_dump");
    pg_dump.args(["--username=postgres", "--dbname=postgres", "--host"]).arg(scene.cluster.socket_dir());
    programs::run(pg_dump.arg("--file").arg(&dump));
    dump
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_carries_the_schedules_with_their_owners_by_name() {
    let scene = Scene::start().await;
    let ada = scene.role("ada").await;
    ada.exec("select edge.schedule('clean', '0 3 * * *', 'vacuum', timezone => 'Asia/Tokyo', jitter => '90 s')").await;
    ada.exec("select edge.schedule_http('ping', 'every 10 hours', 'https://x.y/', '{\"n\": 1}', headers => '{\"a\": \"b\"}')").await;
    scene
        .db
        .exec("select edge.schedule('rests', '@daily', 'select 1'); select edge.pause_schedule('rests', 'why')")
        .await;
    let dump = dump_of(&scene);
    // Another server, in which the roles have other numbers.
    let other = Cluster::start();
    other.connect().await.exec("create role first; create role second; create role ada login").await;
    let mut psql = other.psql_command();
    programs::run(psql.args(["--quiet", "--file"]).arg(&dump));
    let copy = other.connect().await;
    let shown = "select name || ' ' || owner || ' ' || schedule || ' ' || timezone || ' ' || active || ' ' || target
                        || coalesce(' ' || jitter, '') || coalesce(' ' || note, '') || coalesce(' ' || next_run_at, '')
                 from edge.schedules order by name";
    let (before, after) = (scene.db.column::<String>(shown).await, copy.column::<String>(shown).await);
    assert_eq!(before.len(), 3);
    assert_eq!(before, after);
    let number: i64 = copy.one("select edge.schedule('new', '@daily', 'select 1')").await;
    assert!(number > 3, "numbers go on where they were: {number}");
    copy.exec("select edge.grant_access('ada')").await;
    let ada = other.connect_as("ada", "postgres").await;
    assert_eq!(ada.column::<String>("select name from edge.schedules order by name").await, ["clean", "ping"]);
    let body: Vec<u8> = copy.one("select body from edge_store.schedule where name = 'ping'").await;
    assert_eq!(body, br#"{"n": 1}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_out_of_a_dump_run_although_the_dispatcher_was_there_before_them() {
    let scene = Scene::start().await;
    scene.db.exec(&format!("select edge.schedule_http('tick', 'every second', '{}')", scene.peer.url("/tick"))).await;
    eventually("it runs here", SOON, || async { scene.peer.count("/tick") > 0 }).await;
    scene.db.exec("create database copy").await;
    let dump = dump_of(&scene);
    scene.db.exec("select edge.unschedule('tick')").await;
    // The extension first, and its dispatcher; then the rest, in another session.
    let copy = scene.cluster.create_extension("copy").await;
    let up = get(&copy, &scene.peer.url("/up")).await;
    ended(&copy, up).await;
    let mut psql = scene.cluster.psql_command();
    programs::run(psql.args(["--quiet", "--dbname=copy", "--file"]).arg(&dump));
    let runs = "select count(*) from edge.schedule_runs where state = 'succeeded'";
    eventually("it runs there", SOON, || async { copy.one::<i64>(runs).await > 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_leaves_out_the_schedules_of_a_role_that_is_gone() {
    let scene = Scene::start().await;
    for name in ["ada", "bob"] {
        let role = scene.role(name).await;
        role.exec(&format!("select edge.schedule('of_{name}', '@daily', 'select 1')")).await;
    }
    scene.db.exec("drop owned by bob; drop role bob").await;
    let here = "select count(*) from edge_store.schedule";
    assert_eq!(scene.db.one::<i64>(here).await, 2, "the schedule outlives the role");
    let dump = dump_of(&scene);
    let other = Cluster::start();
    other.connect().await.exec("create role ada login").await;
    let mut psql = other.psql_command();
    programs::run(psql.args(["--quiet", "--file"]).arg(&dump));
    let there = "select name || ' ' || owner::text from edge_store.schedule";
    assert_eq!(other.connect().await.column::<String>(there).await, ["of_ada ada"]);
}
